package import Audit
import JSON
import Storage
package import Vault

extension UnlockedVault {
  /// Changes the settings or the administrator of a credential that no run is at work on, and returns what `setTerms`
  /// does. `provider` makes the provider of a record, and throws what keeps the settings from working; it returns
  /// nil for a credential that is only used.
  ///
  /// What was asked of one server must not be looked for at another: this throws `underWay` while the outcome of a
  /// request to stage, promote or delete is unknown. Between requests a rotation can go on elsewhere without harm,
  /// because it ends nothing unless the active pair is primary. Where a new pair ends the old one, or a person does the
  /// work, that is not checked; there the rotation must not have staged yet, or must be verified and not yet retiring,
  /// or over. This is how to fix what stopped a rotation, above all a mistyped host.
  ///
  /// What happens to the old pair, which is what `replacement` says of a record, may change only while no pair is
  /// staged or owed: how a pair was made decides how it ends. Otherwise one client's secret could be deleted as if it
  /// were a client.
  ///
  /// `evenIfUnanswered` is an owner's word that the server that was asked is gone for good: its answer is left behind,
  /// and the log entry says so (`unanswered`). It is not accepted if the pair that was made may be the only one there
  /// is.
  ///
  /// Nor is a pair seen to be refused anywhere but where it was made. If `moves` says that the settings name another
  /// place or token endpoint, this throws `underWay` while something is owed, staged or leaked, or in reach of a leaked
  /// administrator. With `evenIfUnanswered` the versions there are left behind, which the record and the entry say
  /// (`elsewhere`): a refusal at the new place counts for them only once they were seen there.
  ///
  /// An administrator's settings do not change either while a credential that it administers waits for such an answer,
  /// which comes from the server that they name.
  ///
  /// A run whose lease has lapsed does not count as at work: it was made from the previous settings, and can write
  /// nothing any more.
  ///
  /// Throws `RotationError.held` while another run has the credential, `handedOver` if it belongs to another vault, and
  /// what `setTerms` and `provider` throw. `isGone` says that the holder of a lease is a dead process.
  package func setTermsAtRest(
    of name: String, now: Timestamp, evenIfUnanswered: Bool,
    isGone: @escaping @Sendable (_ holder: String) -> Bool,
    replacement: @Sendable (_ credential: Credential) -> Replacement?,
    moves: @Sendable (_ before: Credential, _ after: Credential) -> Bool,
    making provider: @Sendable (_ view: VaultView, _ credential: Credential) throws -> (any CredentialProvider)?,
    _ edit: @Sendable (inout Terms) throws -> Void
  ) async throws -> (before: Credential, after: Credential, exposed: [String], damaged: [String]) {
    try await setTerms(
      of: name, now: now,
      unless: { change, before, after in
        if let transfer = before.transfer {
          throw RotationError(
            .handedOver, "cannot change \(name): it was handed over at \(transfer.since)",
            hint: "its holder decides where it is rotated; `relatch status \(name)` says what is owed here")
        }
        if let holder = try change.view.runAtWork(on: before, now: now, isGone: isGone) {
          throw RotationError(
            .held, "cannot change \(name): another run holds it (\(holder))",
            hint: "wait for that run to end; if its process is gone, `relatch resume \(name)` takes over")
        }
        try change.endLapsedRun(of: before, now: now)
        let next = try provider(change.view, after)
        let last = replacement(before)
        var unanswered: [String: JSONValue] = [:]
        if let state = try change.view.requireAtRest(
          before, keepsReplacement: last != nil && replacement(after) == last,
          looksForActive: next.map { !$0.endsActiveFirst } ?? false, evenIfUnanswered: evenIfUnanswered)
        {
          unanswered[name] = .string(state.rawValue)
        }
        if before.settings != after.settings {
          for (waiting, state) in try change.view.waiting(for: before) {
            guard evenIfUnanswered else { throw RotationError(waiting, waitsIn: state, for: name) }
            unanswered[waiting] = .string(state.rawValue)
          }
        }
        var said: [String: JSONValue] = unanswered.isEmpty ? [:] : ["unanswered": .object(unanswered)]
        if moves(before, after) {
          let left = try before.leftAtFormerPlace(evenIfUnanswered: evenIfUnanswered)
          after.noteElsewhere(left)
          said["elsewhere"] = .array(left.map { .integer(Int(clamping: $0)) })
        }
        return said
      }, edit)
  }
}

extension VaultChange {
  /// Takes the lease of `credential`, which nobody is at work on, and gives it back, so that a previous holder that
  /// wakes up has lost it.
  fileprivate func endLapsedRun(of credential: Credential, now: Timestamp) throws {
    let lease = try leases.acquireLease(
      RotationRunner.leaseName(of: credential), holder: "settings", now: now.milliseconds, milliseconds: 0
    ) { _ in true }
    try leases.release(lease)
  }
}

extension VaultView {
  /// Throws `RotationError.underWay` unless the newest rotation of `credential` can go on with other settings.
  /// `keepsReplacement` says that what happens to an old pair stays the same; `looksForActive`, that nothing is given
  /// up there unless the active pair is seen to be primary. Returns the rotation's state if its answer is left behind.
  fileprivate func requireAtRest(
    _ credential: Credential, keepsReplacement: Bool, looksForActive: Bool, evenIfUnanswered: Bool
  ) throws -> RotationState? {
    let journal = try RotationJournal(self, of: credential)
    let name = credential.name
    if !keepsReplacement {
      let isBetween = journal.map { $0.machine.state.isFinal || $0.machine.state == .ready } ?? true
      guard isBetween, credential.debts.isEmpty, credential.version(in: .staged) == nil else {
        throw RotationError(
          .underWay, "cannot change what becomes of an old pair of \(name): one is owed, or a rotation is not finished",
          hint: "`relatch resume \(name)` finishes it, `relatch abort \(name)` gives it up, `relatch retire \(name)`"
            + " ends what is owed; then it can be changed")
      }
    }
    guard let journal else { return nil }
    let state = journal.machine.state
    var mayLeave = false
    switch state {
    case .ready, .owed, .settled, .failed: return nil
    case .staged, .validating, .validated, .promoted, .verifying, .deleted, .proving, .rejected:
      if looksForActive { return nil }
    case .staging, .promoting, .retiring, .discarding:
      mayLeave = looksForActive || state == .staging && credential.version(in: .staged) == nil
      if mayLeave, evenIfUnanswered { return state }
    }
    throw RotationError(
      .underWay,
      "cannot change \(name): rotation \(journal.number) is not finished (\(state.rawValue)), and would be looked for"
        + " in the wrong place",
      hint: "`relatch resume \(name)` finishes it, `relatch abort \(name)` gives it up, and then it can be changed; if"
        + " that server is gone for good, "
        + (mayLeave ? "--unanswered leaves it behind" : "docs/providers/README.md says what is left"))
  }

  /// The credentials that `administrator` administers, except itself, whose provider has not yet answered a request. A
  /// damaged one waits for nobody.
  fileprivate func waiting(for administrator: Credential) throws -> [(name: String, state: RotationState)] {
    try names().compactMap { name in
      guard name != administrator.name, let credential = try? credential(name), credential.admin == administrator.name,
        credential.ended != credential.rotation, let journal = try? RotationJournal(self, of: credential)
      else { return nil }
      switch journal.machine.state {
      case .staging, .promoting, .retiring, .discarding: return (name, journal.machine.state)
      default: return nil
      }
    }
  }
}

extension Credential {
  /// The versions that the former place may accept when the settings name another. Throws `underWay` if one of these
  /// must be ended there first, unless `evenIfUnanswered`.
  fileprivate func leftAtFormerPlace(evenIfUnanswered: Bool) throws -> [UInt64] {
    let wayOut: String?
    if leak != nil || reach != nil {
      wayOut = "`relatch resume \(name)` ends the leak"
    } else if version(in: .staged) != nil {
      wayOut = "`relatch resume \(name)` finishes the rotation, `relatch abort \(name)` gives it up"
    } else {
      wayOut = debts.isEmpty ? nil : "`relatch retire \(name)` ends what is owed"
    }
    guard let wayOut else { return living }
    guard evenIfUnanswered else {
      let numbers = living.map(String.init).joined(separator: ", ")
      throw RotationError(
        .underWay,
        "cannot move \(name): what is staged, owed or leaked can be seen to be refused only where it was made",
        hint: "\(wayOut), and then it can be moved; if the former server is gone for good, --unanswered leaves version"
          + " \(numbers) behind there")
    }
    return living
  }
}

extension RotationError {
  /// The error that `administrator` cannot have other settings while `name` waits for an answer.
  fileprivate init(_ name: String, waitsIn state: RotationState, for administrator: String) {
    self.init(
      .underWay,
      "cannot change \(administrator), which administers \(name): a rotation of \(name) is not finished (\(state.rawValue)),"
        + " and would be looked for in the wrong place",
      hint: "`relatch resume \(name)` finishes it, `relatch abort \(name)` gives it up, and then it can be changed; if"
        + " that server is gone for good, --unanswered leaves it behind, here and then for \(name)")
  }
}
