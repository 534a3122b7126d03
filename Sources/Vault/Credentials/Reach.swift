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
      by: Set((reach?.by ?? []) + administrators).sorted(), incident: leak.incident,
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

  /// Whether the reach of `credential` is over: none of those that reach it has a leak, or a reach of its own, or
  /// nothing is left of them in the vault. One whose record cannot be read goes on reaching it.
  package func isReachOver(_ credential: Credential) throws -> Bool {
    for name in credential.reach?.by ?? [] where try hasCredential(name) {
      guard let administrator = try? self.credential(name), administrator.leak == nil else { return false }
      // Two that reach each other would wait for ever: that takes two changes of administrator.
      guard administrator.reach == nil || reaches(credential.name, administrator) else { return false }
    }
    return true
  }

  /// Whether `name` is among those that reach `credential`, directly or through others.
  private func reaches(_ name: String, _ credential: Credential) -> Bool {
    var (seen, left): (Set<String>, [String]) = ([], credential.reach?.by ?? [])
    while let next = left.popLast() {
      if next == name { return true }
      if seen.insert(next).inserted { left += (try? self.credential(next))?.reach?.by ?? [] }
    }
    return false
  }

  /// Whether an administrator of `credential` got another pair after the staged one was made: that may have been because
  /// its own had leaked.
  package func isStagedUnderReplacedPair(_ credential: Credential) -> Bool {
    guard let staged = credential.version(in: .staged) else { return false }
    return administrators(of: credential.name).contains { name in
      (try? self.credential(name))?.versions.contains { $0.stage == .retired && $0.since >= staged.created } ?? false
    }
  }

  /// `credential` as the next run that may open it finds it at `now`: one whose reach is over counts as leaked. As long
  /// as a pair that leaked before is kept for a sink or hook, it does not yet.
  package func withReachEnded(_ credential: Credential, now: Timestamp) throws -> Credential {
    guard credential.reach != nil, !credential.isTransferred, credential.leak == nil || credential.undelivered.isEmpty,
      try isReachOver(credential)
    else { return credential }
    var credential = credential
    let newest = (try? newestKnown(of: credential)) ?? credential.newestNumber + 1
    credential.turnReachIntoLeak(ofVersionsUpTo: newest, now: now)
    return credential
  }
}
