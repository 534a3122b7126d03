import Audit
import Vault

extension Timestamp {
  /// The moment that a person means by `text`, given for `option`: a moment of RFC 3339; the beginning of `today` or
  /// another day in UTC; or how long before `now`, as in `36h` or `7d`. Throws `usage`.
  static func said(_ text: String, for option: String, now: Timestamp) throws(Failure) -> Timestamp {
    let day = text == "today" ? String(now.description.prefix(10)) : text
    if let moment = Timestamp(rfc3339: day.utf8.count == 10 ? day + "T00:00:00Z" : day) { return moment }
    if let duration = Policy.duration(text) { return now + (.zero - duration) }
    throw Failure(
      .usage, "\(option) \(Name.printable(text)): expected a time in RFC 3339, a day, or how long ago",
      hint: "write it as in 2026-11-21T09:20:00Z, 2026-11-21T11:20:00+02:00, 2026-11-21, today, 36h or 7d")
  }
}
