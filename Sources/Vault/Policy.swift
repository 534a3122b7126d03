package import JSON

/// What an operator decides about a credential's rotation.
package struct Policy: Hashable, Sendable {
  /// How long a replaced pair is left alone before it is retired.
  package var grace: Duration = .seconds(24 * 3600)
  /// How long a new pair may be refused before it counts as bad.
  package var propagation: Duration = .seconds(600)

  package init() {}

  /// The keys that can be set, with what each means.
  package static let keys: [(key: String, meaning: String)] = [
    ("grace", "how long the replaced pair is left alone before it is retired"),
    ("propagation", "how long a new pair may be refused before it counts as bad"),
  ]

  /// Sets one key from its text, for example `grace` to `24h`.
  package mutating func set(_ key: String, to text: String) throws(VaultError) {
    guard let duration = Self.duration(text) else {
      throw VaultError(
        .invalidInput,
        "policy \(Name.printable(key)): \(Name.printable(text)) is not a duration such as 90s, 10m, 24h, 30d")
    }
    switch key {
    case "grace": grace = duration
    case "propagation": propagation = duration
    default:
      let known = Self.keys.map(\.key).joined(separator: ", ")
      throw VaultError(.invalidInput, "policy \(Name.printable(key)) is unknown, expected one of \(known)")
    }
  }

  /// Reads a whole number with its unit: `s`, `m`, `h` or `d`; at most ten years.
  package static func duration(_ text: String) -> Duration? {
    let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    guard let last = text.last, let unit = units[last], text.utf8.count <= 10 else { return nil }
    let digits = text.dropLast()
    guard digits.utf8.allSatisfy({ (48...57).contains($0) }), let count = Int(digits) else { return nil }
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

  /// Every key with its value, as `set` takes them.
  package var texts: [(key: String, value: String)] {
    [("grace", Self.text(grace)), ("propagation", Self.text(propagation))]
  }

  package var json: JSONValue {
    .object(Dictionary(uniqueKeysWithValues: texts.map { ($0.key, .string($0.value)) }))
  }

  /// Reads a stored policy: each duration in the one text that `text(_:)` gives it. A key that is not there has its default.
  init(_ texts: [String: String]) throws(VaultError) {
    for (key, text) in texts {
      guard Self.duration(text).map(Self.text) == text else {
        throw VaultError(
          .invalidInput, "policy \(Name.printable(key)): \(Name.printable(text)) is not the shortest text")
      }
      try set(key, to: text)
    }
  }
}
