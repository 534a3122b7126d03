package import Audit
package import JSON

/// A new pair was asked for while a leaked pair of an administrator may have been accepted: whoever has that one can
/// read the new one at the provider. The credential is replaced once more when the administrators' leaks have ended.
package struct Reach: Hashable, Sendable {
  /// The names of the administrators, ascending.
  package let by: [String]
  /// The incident in which the credential itself leaked.
  package let incident: String
  /// When the first of `by` was noted.
  package let since: Timestamp
}

extension Reach {
  package var json: JSONValue {
    .object([
      "by": .array(by.map { .string($0) }), "incident": .string(incident), "since": .string(since.description),
    ])
  }

  init(_ json: JSONValue) throws {
    var members = try JSONMembers(of: json, "reach")
    by = try members.array("by").map { value in
      guard case .string(let name) = value else { throw VaultError(.corrupt, "a reach of something without a name") }
      try Name.check(name, "credential name")
      return name
    }
    incident = try members.string("incident")
    do { try Name.check(incident, "incident") } catch {
      throw VaultError(.corrupt, "a reach in an incident without a name")
    }
    since = try members.timestamp("since")
    try members.finish()
    guard !by.isEmpty, zip(by, by.dropFirst()).allSatisfy({ $0 < $1 }) else {
      throw VaultError(.corrupt, "a reach that contradicts itself")
    }
  }
}

extension Credential {
  /// Notes that whoever has a leaked pair of one of `administrators` can read what is made for the credential now. Notes
  /// nothing without any of these, or if the credential itself did not leak.
  package mutating func noteReach(by administrators: [String], now: Timestamp) {
    guard let leak, !administrators.isEmpty else { return }
    reach = Reach(
      by: Set((reach?.by ?? []) + administrators).sorted(), incident: reach?.incident ?? leak.incident,
      since: reach?.since ?? now)
  }

  /// Counts the versions up to `version` as leaked, because their pairs could be read until now, and forgets the reach.
  package mutating func turnReachIntoLeak(ofVersionsUpTo version: UInt64, now: Timestamp) {
    guard let reach else { return }
    self.reach = nil
    noteLeak(incident: reach.incident, version: version, now: now)
  }
}

extension VaultView {
  /// Those that administer `name` and of which a leaked pair may still be accepted, or that are themselves in the reach
  /// of such a one.
  package func leakedAdministrators(of name: String) -> [String] {
    administrators(of: name).filter { admin in
      (try? credential(admin)).map { $0.leak != nil || $0.reach != nil } ?? false
    }
  }

  /// Whether the reach of `credential` is over: every leak of those that reach it, directly or through others, has
  /// ended, or nothing is left of them in the vault. One whose record cannot be read goes on reaching it.
  package func isReachOver(_ credential: Credential) throws -> Bool {
    var (seen, left): (Set<String>, [String]) = ([], credential.reach?.by ?? [])
    while let name = left.popLast() {
      guard seen.insert(name).inserted, try hasCredential(name) else { continue }
      guard let administrator = try? self.credential(name), administrator.leak == nil else { return false }
      left += administrator.reach?.by ?? []
    }
    return true
  }

  /// `credential` as the next run that may open it finds it at `now`: one whose reach is over counts as leaked.
  package func withReachEnded(_ credential: Credential, now: Timestamp) throws -> Credential {
    guard credential.reach != nil, !credential.isTransferred, try isReachOver(credential) else { return credential }
    var credential = credential
    let newest = (try? newestKnown(of: credential)) ?? credential.newestNumber + 1
    credential.turnReachIntoLeak(ofVersionsUpTo: newest, now: now)
    return credential
  }
}
