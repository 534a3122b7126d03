package import Audit
package import JSON
import Storage

/// What only owners say of a credential's rotation, and may change.
package struct Terms: Hashable, Sendable {
  package var settings: [String: String]
  /// The credential whose token drives the rotation; its own name if it drives its own.
  package var admin: String
}

extension UnlockedVault {
  /// Gives a credential the settings and the administrator that `edit` makes of its present ones, and with them a new
  /// key: the entry that binds its terms is that of a re-keying. Returns its record before and after. If nothing
  /// changes, nothing is written.
  ///
  /// Anyone who could open the former administrator, and can open neither this credential nor the new administrator,
  /// counts as having known the pairs; so does anyone that the new administrator is exposed to. The credential is
  /// marked for rotation then.
  ///
  /// Throws `notFound` if it or its administrator does not exist; `notPermitted` unless this member is an owner;
  /// `invalidInput` if its administrator was handed over or is administered by it, or a setting is not valid; `corrupt`
  /// if one of its pairs that may be accepted does not open: nobody could ever open it again. If `edit` or `check`
  /// throws, everything stays as it is. `check` is called in the same step, with the record as it would be, and returns
  /// what else the entry is to say.
  package func setTerms(
    of name: String, now: Timestamp,
    unless check:
      @Sendable (_ change: VaultChange, _ before: Credential, _ after: Credential) throws -> [String:
      JSONValue] = { _, _, _ in [:] },
    _ edit: @Sendable (inout Terms) throws -> Void
  ) async throws -> (before: Credential, after: Credential) {
    // Replayed before the transaction, because others wait for that.
    let replayed = try await locked.read { try AccessHistory($0) }
    return try await change(now: now) { change in
      let key = try vaultKey(of: change.view.header)
      let before = try change.view.credential(name)
      var terms = Terms(settings: before.settings, admin: before.admin)
      try edit(&terms)
      let chosen = terms
      guard (chosen.settings, chosen.admin) != (before.settings, before.admin) else { return (before, before) }
      try Credential.check(name: name, provider: before.provider, settings: chosen.settings)
      var known: [String] = []
      if chosen.admin != name {
        try change.view.requireAdministrator(chosen.admin)
        try change.view.requireNoCycle(of: name, under: chosen.admin)
        if chosen.admin != before.admin { known = try change.view.credential(chosen.admin).exposure?.to ?? [] }
      }
      var history = replayed
      try history.extend(to: change.view)
      let exposed = Set(history.leftBehind(by: before, for: chosen.admin) + known).sorted()
      let after = try rekey(name, change, opening: key, wrapping: key, history, keepingAll: true) { credential in
        (credential.settings, credential.admin) = (chosen.settings, chosen.admin)
        for member in exposed {
          credential.expose(to: member, isStaging: try change.view.isStaging(credential), now: change.now)
        }
        let said = try check(change, before, credential)
        return before.fieldsOfChange(to: chosen).merging(said) { own, _ in own }
      }
      return (before, after)
    }
  }
}

extension AccessHistory {
  /// Who holds a grant on the administrator of `credential`, but none on it or on `admin`, the next administrator.
  fileprivate func leftBehind(by credential: Credential, for admin: String) -> [String] {
    guard admin != credential.admin else { return [] }
    let staying = Set(grantees(of: credential.name) + grantees(of: admin))
    return grantees(of: credential.admin).filter { !staying.contains($0) }
  }
}

extension Credential {
  /// What the log says of a change of its terms: what is different now, and what it was.
  fileprivate func fieldsOfChange(to terms: Terms) -> [String: JSONValue] {
    var (before, after): ([String: JSONValue], [String: JSONValue]) = ([:], [:])
    if terms.admin != admin { (before["admin"], after["admin"]) = (.string(admin), .string(terms.admin)) }
    let changed = Set(settings.keys).union(terms.settings.keys).filter { settings[$0] != terms.settings[$0] }
    if !changed.isEmpty {
      func values(_ settings: [String: String]) -> JSONValue {
        .object(Dictionary(uniqueKeysWithValues: changed.map { ($0, settings[$0].map { .string($0) } ?? .null) }))
      }
      (before["settings"], after["settings"]) = (values(settings), values(terms.settings))
    }
    after["before"] = .object(before)
    return after
  }
}

extension VaultView {
  /// Throws `notFound` if there is no credential `name`, and `invalidInput` if it was handed over: this vault will not
  /// have its pair for long.
  func requireAdministrator(_ name: String) throws {
    guard try credential(name).isTransferred else { return }
    throw VaultError(.invalidInput, "\(name) was handed over, and administers nothing here")
  }

  /// Throws `invalidInput` if `name` administers `administrator`, directly or through others. None of them could be
  /// removed, and where old pairs end as new ones are made, two lost answers would lose all of them. A damaged record
  /// ends the chain.
  fileprivate func requireNoCycle(of name: String, under administrator: String) throws {
    var seen: Set<String> = []
    var next = administrator
    while seen.insert(next).inserted, let admin = (try? credential(next))?.admin {
      guard admin != name || next == name else {
        throw VaultError(
          .invalidInput, "\(administrator) is administered by \(name), directly or by others, and cannot administer it")
      }
      next = admin
    }
  }
}
