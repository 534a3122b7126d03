package import Audit
package import JSON

/// One sink or hook of a credential: where its promoted pair goes, and which version arrived there last. Public
/// metadata.
///
/// An owner decided on `settings`, in the log entry `entry`; the rest is what runs found.
package struct DeliveryRecord: Hashable, Sendable {
  /// The greatest number of sinks and hooks that a credential may have.
  package static let maximumCount = 16

  package let settings: DeliverySettings
  /// The log entry in which an owner added it.
  package let entry: UInt64
  /// The version that arrived last; nil before the first arrival, and while it is to be delivered again.
  package private(set) var delivered: UInt64?
  /// How many attempts were made since then, none of which is known to have arrived. Each is counted before it is made,
  /// so that one that ends its own run counts, too.
  package private(set) var attempts: UInt32
  /// When the last of these began; nil if there was none.
  package private(set) var tried: Timestamp?

  package var name: String { settings.name }

  init(_ settings: DeliverySettings, entry: UInt64) {
    self.settings = settings
    self.entry = entry
    attempts = 0
  }

  mutating func noteDelivered(_ version: UInt64) {
    delivered = version
    attempts = 0
    tried = nil
  }

  mutating func noteAttempt(now: Timestamp) {
    if attempts < .max { attempts += 1 }
    tried = now
  }

  mutating func forgetDelivered() { delivered = nil }

  package var json: JSONValue {
    var members = settings.members
    members["entry"] = .integer(Int(clamping: entry))
    if let delivered { members["delivered"] = .integer(Int(clamping: delivered)) }
    if let tried {
      members["attempts"] = .integer(Int(attempts))
      members["tried"] = .string(tried.description)
    }
    return .object(members)
  }

  init(_ json: JSONValue) throws {
    var members = try JSONMembers(of: json, "delivery")
    settings = try DeliverySettings(&members)
    entry = UInt64(try members.count("entry"))
    delivered = try members.optionalCount("delivered").map(UInt64.init)
    tried = try members.optionalString("tried") == nil ? nil : members.timestamp("tried")
    let attempts = try members.optionalCount("attempts")
    guard (attempts == nil) == (tried == nil), attempts != 0, delivered != 0,
      let count = UInt32(exactly: attempts ?? 0)
    else { throw VaultError(.corrupt, "delivery \(settings.name) has attempts or versions that contradict each other") }
    self.attempts = count
    try members.finish()
  }
}
