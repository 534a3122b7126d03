import Audit
import Sodium

/// One leak, of one credential or of many, from the report to the last refusal.
enum Incident {
  /// The name of a new incident: its day, and six random hexadecimal digits.
  static func name(at time: Timestamp) -> String {
    let digits = (0..<6).map { _ in String(Int(Randomness.system.fraction() * 16), radix: 16) }.joined()
    return time.description.prefix(10) + "-" + digits
  }
}
