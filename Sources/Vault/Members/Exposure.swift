package import Audit
package import JSON

/// Someone whose access was taken back could open a credential's pairs: what they copied stays open to them until the
/// pair is replaced.
package struct Exposure: Hashable, Sendable {
  /// Their names, ascending.
  package let to: [String]
  /// When the first of them was added: they lost their access, or the credential got an administrator exposed to them.
  package let since: Timestamp
  /// The newest version there was when the last of them lost their access, or the next if one was being staged then.
  /// Pairs up to this one are known to them.
  package let version: UInt64
}

extension Exposure {
  package var json: JSONValue {
    .object([
      "since": .string(since.description), "to": .array(to.map { .string($0) }),
      "version": .integer(Int(clamping: version)),
    ])
  }

  init(_ json: JSONValue) throws {
    var members = try JSONMembers(of: json, "exposure")
    since = try members.timestamp("since")
    to = try members.array("to").map { value in
      guard case .string(let name) = value else {
        throw VaultError(.corrupt, "an exposure to something without a name")
      }
      try Name.check(name, "member name")
      return name
    }
    version = UInt64(try members.count("version"))
    try members.finish()
    guard !to.isEmpty, version > 0, zip(to, to.dropFirst()).allSatisfy({ $0 < $1 }) else {
      throw VaultError(.corrupt, "an exposure that contradicts itself")
    }
  }

  /// This exposure, combined with a later one of the same credential.
  func adding(_ member: String, newestVersion: UInt64) -> Exposure {
    Exposure(to: Set(to + [member]).sorted(), since: since, version: max(version, newestVersion))
  }
}

extension VaultView {
  /// Whether the newest rotation of `credential` has requested a pair, and nothing is known yet of what came of it.
  func isStaging(_ credential: Credential) throws -> Bool {
    guard credential.rotation > 0 else { return false }
    let last = try journal(of: credential, rotation: credential.rotation).last
    return last.map { EventName.ofStaging.contains(EventName($0.event)) } ?? false
  }

  /// The newest version of `credential` that anybody can know: the next one while it is being staged.
  package func newestKnown(of credential: Credential) throws -> UInt64 {
    credential.newestNumber + (try isStaging(credential) ? 1 : 0)
  }
}

extension EventName {
  /// After one of these there may be a pair that the vault does not have (vault/journal.md).
  static let ofStaging: Set<EventName> = [EventName("rotation.stage.intended"), EventName("rotation.stage.lost")]
}

extension Credential {
  /// Notes that `member` could open every version there is, and with `isStaging` the next one, too: a pair was
  /// requested that is not saved yet, and whoever requested it may know it.
  mutating func expose(to member: String, isStaging: Bool = false, now: Timestamp) {
    let newest = newestNumber + (isStaging ? 1 : 0)
    exposure =
      exposure?.adding(member, newestVersion: newest) ?? Exposure(to: [member], since: now, version: newest)
  }
}
