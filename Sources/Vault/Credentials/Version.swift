package import Audit
package import JSON

/// One immutable pair of a credential: its number, place and times. The pair itself is sealed elsewhere.
package struct Version: Hashable, Sendable {
  package let number: UInt64
  package private(set) var stage: Stage
  /// When the provider made the pair, as far as is known: its age is counted from then.
  package internal(set) var created: Timestamp
  /// When it entered its stage.
  package private(set) var since: Timestamp
  /// What the provider calls it, if it has a name for it. Not secret.
  package let handle: String?
  /// When the provider will end it automatically, if it said so.
  package var expires: Timestamp?

  init(
    number: UInt64, stage: Stage, created: Timestamp, since: Timestamp, handle: String? = nil, expires: Timestamp? = nil
  ) {
    self.number = number
    self.stage = stage
    self.created = created
    self.since = since
    self.handle = handle
    self.expires = expires
  }

  mutating func enter(_ stage: Stage, now: Timestamp) {
    self.stage = stage
    since = now
  }

  package var json: JSONValue {
    var members: [String: JSONValue] = [
      "created": .string(created.description), "number": .integer(Int(clamping: number)),
      "since": .string(since.description), "stage": .string(stage.rawValue),
    ]
    if let handle { members["handle"] = .string(handle) }
    if let expires { members["expires"] = .string(expires.description) }
    return .object(members)
  }

  /// Adds the members of `json`.
  func write(to object: inout CanonicalWriter) {
    object.add("created", created.description)
    if let expires { object.add("expires", expires.description) }
    if let handle { object.add("handle", handle) }
    object.add("number", Int(clamping: number))
    object.add("since", since.description)
    object.add("stage", stage.rawValue)
  }

  init(_ json: JSONValue) throws {
    var members = try JSONMembers(of: json, "version")
    number = UInt64(try members.count("number"))
    guard let stage = Stage(rawValue: try members.string("stage")) else {
      throw VaultError(.corrupt, "version \(number) has an unknown stage")
    }
    self.stage = stage
    created = try members.timestamp("created")
    since = try members.timestamp("since")
    handle = try members.optionalString("handle")
    expires = try members.optionalString("expires") == nil ? nil : members.timestamp("expires")
    try members.finish()
  }
}
