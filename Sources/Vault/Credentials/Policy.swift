package import JSON

/// What an operator decides about a credential's rotation.
package struct Policy: Hashable, Sendable {
  /// How old the active pair may become; nil if no schedule replaces it.
  package var maxAge: Duration?
  /// How long a replaced pair is left alone before it is retired.
  package var grace: Duration = .seconds(24 * 3600)
  /// How long a new pair may be refused before it counts as bad.
  package var propagation: Duration = .seconds(600)
  /// By how much a scheduled rotation may come early, so that many do not come at once.
  package var jitter: Duration = .zero
  /// When scheduled rotations may begin; nil if at any time.
  package var window: RotationWindow?
  /// Credentials that a schedule never rotates in the same window, or within 24 hours if there is no window. This works
  /// both ways: naming a credential also keeps that one from rotating together with this one.
  package var notTogetherWith: [String] = []

  /// Whether its pair may be revoked as a drill.
  package var drill = false
  /// Words that the person who sets the policy chose, to select credentials by; ascending.
  package var tags: [String] = []

  package init() {}

  /// The least age at which a schedule replaces a pair: whatever a policy says, one run never immediately follows
  /// another.
  package static let minimumAge = Duration.seconds(3600)

  /// The longest that a run waits for a new pair that is refused, whatever a policy says: one that cannot be waited for
  /// would keep a leaked pair, or a bad one, for good.
  package static let maximumPropagation = Duration.seconds(24 * 3600)

  /// Fails with `invalidInput` if `propagation` is longer than `maximumPropagation`. Only for new settings: a record may
  /// hold an older policy.
  package func requireReasonablePropagation() throws(VaultError) {
    guard propagation <= Self.maximumPropagation else {
      throw VaultError(
        .invalidInput,
        "policy \"propagation\": \(Self.text(propagation)) is more than \(Self.text(Self.maximumPropagation)), the maximum"
      )
    }
  }

  /// Fails with `invalidInput` if a schedule by this policy would replace a pair as soon as it is made: a greatest age
  /// below `minimumAge`, or a jitter that reaches the greatest age. Only for new settings: a record may hold an older
  /// policy.
  package func requireReasonableInterval() throws(VaultError) {
    guard let maxAge else { return }
    guard maxAge >= Self.minimumAge else {
      throw VaultError(
        .invalidInput,
        "policy \"max-age\": \(Self.text(maxAge)) is less than \(Self.text(Self.minimumAge)), the minimum")
    }
    guard jitter < maxAge else {
      throw VaultError(
        .invalidInput,
        "policy \"jitter\": \(Self.text(jitter)) is not less than max-age, which is \(Self.text(maxAge))")
    }
  }

  /// The keys that can be set, with what each means.
  package static let keys: [(key: String, meaning: String)] = [
    ("max-age", "how old the active pair may become, as in 90d, 1h or more; none to have no schedule"),
    ("grace", "how long the replaced pair is left alone before it is retired"),
    ("propagation", "how long a new pair may be refused before it counts as bad; at most 1d"),
    ("jitter", "by how much a scheduled rotation may come early; less than max-age"),
    ("window", "when scheduled rotations may begin, as in 'mon-fri 01:00-05:00 Europe/Kyiv'; none for any time"),
    ("not-together-with", "credentials never scheduled in the same window, separated by commas; none to clear"),
    ("drill", "yes lets `relatch drill` revoke its pair, to practise"),
    ("tags", "words to choose credentials by (`relatch revoke --tag`), separated by commas; none to clear"),
  ]

  /// Sets one key from its text, for example `grace` to `24h`.
  package mutating func set(_ key: String, to text: String) throws(VaultError) {
    switch key {
    case "max-age": maxAge = text == "none" ? nil : try Self.requireDuration(text, key)
    case "grace": grace = try Self.requireDuration(text, key)
    case "propagation": propagation = try Self.requireDuration(text, key)
    case "jitter": jitter = try Self.requireDuration(text, key)
    case "window":
      guard text != "none" else { return window = nil }
      guard let window = RotationWindow(text) else {
        throw VaultError(
          .invalidInput,
          "policy \"window\": \(Name.printable(text)) is not days, hours and zone, as in 'mon-fri 01:00-05:00 Europe/Kyiv',"
            + " or, for all day, 'mon-fri 00:00-24:00 Europe/Kyiv'"
        )
      }
      self.window = window
    case "not-together-with":
      let names = text == "none" ? [] : text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      for name in names { try Name.check(name, "policy \"not-together-with\":") }
      guard Set(names).count == names.count else {
        throw VaultError(.invalidInput, "policy \"not-together-with\": a name is given twice")
      }
      notTogetherWith = names
    case "drill":
      guard text == "yes" || text == "no" else {
        throw VaultError(.invalidInput, "policy \"drill\": \(Name.printable(text)) is neither yes nor no")
      }
      drill = text == "yes"
    case "tags":
      let tags = text == "none" ? [] : text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      for tag in tags { try Name.check(tag, "policy \"tags\":") }
      guard Set(tags).count == tags.count else {
        throw VaultError(.invalidInput, "policy \"tags\": a tag is given twice")
      }
      self.tags = tags.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    default:
      let known = Self.keys.map(\.key).joined(separator: ", ")
      throw VaultError(.invalidInput, "policy \(Name.printable(key)) is unknown, expected one of \(known)")
    }
  }

  private static func requireDuration(_ text: String, _ key: String) throws(VaultError) -> Duration {
    guard let duration = duration(text) else {
      throw VaultError(
        .invalidInput,
        "policy \(Name.printable(key)): \(Name.printable(text)) is not a duration such as 90s, 10m, 24h, 30d")
    }
    return duration
  }

  /// Reads a whole number with its unit: `s`, `m`, `h` or `d`; at most ten years.
  package static func duration(_ text: String) -> Duration? {
    guard text.utf8.count <= 10, let last = text.utf8.last else { return nil }
    let unit: Int
    switch last {
    case UInt8(ascii: "s"): unit = 1
    case UInt8(ascii: "m"): unit = 60
    case UInt8(ascii: "h"): unit = 3600
    case UInt8(ascii: "d"): unit = 86_400
    default: return nil
    }
    let digits = text.utf8.dropLast()
    guard digits.allSatisfy({ (48...57).contains($0) }), let count = Int(Substring(digits)) else { return nil }
    let (seconds, overflow) = count.multipliedReportingOverflow(by: unit)
    guard !overflow, seconds <= 3650 * 86_400 else { return nil }
    return .seconds(seconds)
  }

  /// The shortest text that `duration(_:)` reads as this many whole seconds.
  package static func text(_ duration: Duration) -> String {
    let seconds = duration.components.seconds
    for (unit, size) in [("d", 86_400), ("h", 3600), ("m", 60)] as [(String, Int64)]
    where seconds > 0 && seconds % size == 0 { return "\(seconds / size)\(unit)" }
    return "\(seconds)s"
  }

  /// Every key with its value, as `set` takes them; keys that are not set are left out.
  package var texts: [(key: String, value: String)] {
    var texts = [("grace", Self.text(grace)), ("propagation", Self.text(propagation))]
    if let maxAge { texts.append(("max-age", Self.text(maxAge))) }
    if jitter > .zero { texts.append(("jitter", Self.text(jitter))) }
    if let window { texts.append(("window", window.description)) }
    if !notTogetherWith.isEmpty { texts.append(("not-together-with", notTogetherWith.joined(separator: ","))) }
    if drill { texts.append(("drill", "yes")) }
    if !tags.isEmpty { texts.append(("tags", tags.joined(separator: ","))) }
    return texts.map { (key: $0.0, value: $0.1) }
  }

  package var json: JSONValue {
    .object(Dictionary(uniqueKeysWithValues: texts.map { ($0.key, .string($0.value)) }))
  }

  /// Reads a stored policy: each value must be the one text that `texts` gives it. A key that is missing has its
  /// default.
  init(_ texts: [String: String]) throws(VaultError) {
    for (key, text) in texts { try set(key, to: text) }
    let written = Dictionary(uniqueKeysWithValues: self.texts.map { ($0.key, $0.value) })
    for (key, text) in texts where written[key] != text {
      throw VaultError(
        .invalidInput, "policy \(Name.printable(key)): \(Name.printable(text)) is not in its shortest form")
    }
  }
}
