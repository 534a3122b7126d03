import Audit
import Sodium

/// One leak, of one credential or of many, from the report to the last refusal.
enum Incident {
  /// What a new incident is called: its day, and six hexadecimal digits that tell it from others.
  static func name(at time: Timestamp, _ randomness: Randomness) -> String {
    let digits = (0..<6).map { _ in String(Int(randomness.fraction() * 16), radix: 16) }.joined()
    return time.description.prefix(10) + "-" + digits
  }
}
