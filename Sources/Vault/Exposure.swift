package import Audit
import JSON

/// That someone whose access was taken back could open a credential's pairs: what they copied stays open to them until
/// the pair is replaced.
package struct Exposure: Hashable, Sendable {
  /// Who, by name and ascending.
  package let to: [String]
  /// When the first of them lost their access.
  package let since: Timestamp
  /// The newest version there was then. Pairs up to this one are known to them.
  package let version: UInt64
}

extension Exposure {
  var json: JSONValue {
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

  /// This exposure and another of the same credential, which came later.
  func adding(_ member: String, newestVersion: UInt64) -> Exposure {
    Exposure(to: Set(to + [member]).sorted(), since: since, version: max(version, newestVersion))
  }
}

extension Credential {
  /// Notes that `member` could open every version there is.
  mutating func expose(to member: String, now: Timestamp) {
    let newest = versions.last?.number ?? 0
    exposure =
      exposure?.adding(member, newestVersion: newest) ?? Exposure(to: [member], since: now, version: newest)
  }
}
