package import Audit
import Transport

extension Timestamp {
  /// Reads the date of an HTTP answer; nil unless it has the form that servers send.
  package init?(httpDate text: String) {
    guard let date = HTTPDate(text) else { return nil }
    self.init(milliseconds: date.seconds * 1000)
  }
}
