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
  /// Another administrator exposes it, and all that it administers, directly or through others, to those who lose it by
  /// that and to those who know its next administrators (`AdministratorChange`). These are marked for rotation; what
  /// is administered gets a new key, too, and `exposed` names it. `damaged` names what may be administered by it and
  /// could not be marked, because it is damaged.
  ///
  /// Throws `notFound` if it or its administrator does not exist; `notPermitted` unless this member is an owner;
  /// `invalidInput` if its administrator was handed over or is administered by it, or a setting is not valid; `corrupt`
  /// if one of its pairs that may be accepted does not open: nobody could ever open it again. If `edit` or `check`
  /// throws, everything stays as it is. `check` is called in the same step, with the record as it would be, which it may
  /// change further, and returns what else the entry is to say.
  package func setTerms(
    of name: String, now: Timestamp,
    unless check:
      @Sendable (_ change: VaultChange, _ before: Credential, _ after: inout Credential) throws -> [String:
      JSONValue] = { _, _, _ in [:] },
    _ edit: @Sendable (inout Terms) throws -> Void
  ) async throws -> (before: Credential, after: Credential, exposed: [String], damaged: [String]) {
    // Replayed before the transaction, because others wait for that.
    let replayed = try await locked.read { try AccessHistory($0) }
    return try await change(now: now) { change in
      let key = try vaultKey(of: change.view.header)
      let before = try change.view.credential(name)
      var terms = Terms(settings: before.settings, admin: before.admin)
      try edit(&terms)
      let chosen = terms
      guard (chosen.settings, chosen.admin) != (before.settings, before.admin) else { return (before, before, [], []) }
      try Credential.check(name: name, provider: before.provider, settings: chosen.settings)
      if chosen.admin != name {
        try change.view.requireAdministrator(chosen.admin)
        try change.view.requireNoCycle(of: name, under: chosen.admin)
      }
      var history = replayed
      try history.extend(to: change.view)
      let move =
        chosen.admin == before.admin ? nil : AdministratorChange(of: name, to: chosen.admin, change.view, history)
      let after = try rekey(name, change, opening: key, wrapping: key, history, keepingAll: true) { credential in
        (credential.settings, credential.admin) = (chosen.settings, chosen.admin)
        try move?.expose(&credential, change, history)
        let said = try check(change, before, &credential)
        return before.fieldsOfChange(to: chosen).merging(said) { own, _ in own }
      }
      var (exposed, damaged): ([String], [String]) = ([], [])
      for other in move?.administered(history) ?? [] {
        do {
          let prepared = try prepareRekeying(
            other, change, opening: key, wrapping: key, history, keepingAll: true
          ) { credential in
            try move?.expose(&credential, change, history)
            return [:]
          }
          try store(prepared, change)
          exposed.append(other)
        } catch let error as VaultError where error.isDamage { damaged.append(other) }
      }
      return (before, after, exposed, (damaged + (move?.unreadable ?? [])).sorted())
    }
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
  /// removed; where old pairs end as new ones are made, two lost answers would lose all of them; and if all of them leak,
  /// each new pair can be read with a leaked one. A damaged record ends the chain. `added` are administrators by what
  /// the same change adds.
  func requireNoCycle(of name: String, under administrator: String, adding added: [String: String] = [:]) throws {
    var seen: Set<String> = []
    var next = administrator
    while seen.insert(next).inserted, let admin = added[next] ?? (try? credential(next))?.admin {
      guard admin != name || next == name else {
        throw VaultError(
          .invalidInput, "\(administrator) is administered by \(name), directly or by others, and cannot administer it",
          hint: "let one of them administer itself (admin self), or name a third that none of them administers")
      }
      next = admin
    }
  }
}
