import Audit
import JSON
import Vault

// A credential that was handed over is rotated by whoever has it now. What remains here is a debt: the pair that was
// sent, until its provider refuses it.
extension RotationRun {
  /// Tries the pair that was handed over, if `goal` is to end what is owed. Any other goal is refused.
  func settle(_ transfer: Transfer, for goal: RotationRunner.Goal) async throws -> RotationOutcome {
    switch goal {
    case .resume, .retire, .retireUndelivered: return try await settle(transfer)
    case .scheduled:
      let (credential, schedule, now) = (credential, runner.schedule, timing.now())
      _ = try await runner.vault.read { try schedule.requireDue(credential, in: $0, now: now) }
      do { return try await settle(transfer) } catch {
        guard let failure = RotationError(attempt: error) else { throw error }
        try await recordUntried(transfer, because: failure)
        throw error
      }
    case .rotate, .rotateReplacingPrevious, .abort, .deliver, .adopt: throw RotationError(handedOver: credential)
    case .revoke:
      throw RotationError(
        .handedOver, "\(name): it was handed over at \(transfer.since), and only its holder can revoke it now",
        hint: "tell the holder: `relatch revoke` there replaces it"
          + (transfer.confirmed == nil
            ? "; if nobody opened it, `relatch handoff withdraw \(name)`, and revoke it here" : ""))
    }
  }

  private func settle(_ transfer: Transfer) async throws -> RotationOutcome {
    guard credential.version(in: .active) != nil else {
      throw RotationError(
        .nothingOwed, "\(name): version \(transfer.version) was handed over and is seen to be refused: nothing is owed",
        hint: "`relatch remove \(name)` takes it out of this vault")
    }
    try await openPairs()
    let (version, pair) = try pair(in: .active)
    guard let first = try await refusal(ofHandedOver: pair) else { return try await recordAccepted(transfer, version) }
    // Only a receipt shows that another vault has it. Without one, this vault does not give up what may be the last
    // copy.
    guard transfer.confirmed != nil else {
      return try await recordRefused(transfer, version, first, .unconfirmed)
    }
    var answers = [first]
    let granter = credential.isSelfAdministered ? nil : provider as? any AdministratorGranter
    if let granter { try await requireGranted(by: granter) }
    guard try await isHidden(pair) else { return try await recordAccepted(transfer, version) }
    if granter != nil {
      guard let second = try await refusal(ofHandedOver: pair) else {
        return try await recordAccepted(transfer, version)
      }
      // A refusal in other words may come from another server, one that refuses everybody.
      if let granter, second.description != first.description { try await requireGranted(by: granter) }
      answers.append(second)
    } else if let until = transfer.settledFrom(now: timing.now()) {
      // With nobody else to be granted a token there, only time tells it from an outage.
      return try await recordRefused(transfer, version, first, .refused(settledFrom: until))
    }
    let texts = answers.map { JSONValue.string($0.description) }
    let now = timing.now()
    credential = try await change(now: now) { change, credential in
      try transfer.requireStanding(of: credential)
      credential.settleTransfer(now: now)
      return try change.save(
        credential, .handoffSettled,
        [
          "answers": .array(texts), "handoff": .string(transfer.handoff.description),
          "version": .integer(Int(clamping: version)),
        ])
    }
    return .handedOver(version: version, .settled)
  }

  /// One refusal may be an outage that refuses everybody, so the server must now grant the administrator a token.
  /// Throws if it does not, which says nothing about the pair that was handed over.
  private func requireGranted(by granter: any AdministratorGranter) async throws {
    let admin = credential.admin
    let opened = try await runner.vault.pairs(
      of: admin, choosing: { $0.versions.filter { $0.stage == .active } }, event: .pairUsed,
      ["purpose": "control"], now: timing.now())
    guard let control = opened.first?.pair else {
      throw RotationError(
        .unresolved,
        "\(name): the pair that was handed over is refused, and \(admin) has no active pair to compare it with")
    }
    do {
      try await ask { try await granter.grant(administrator: control) }
    } catch let error as ProviderError {
      throw RotationError(
        error, while: "the pair that was handed over is refused, and \(admin) is not seen to be accepted there", name)
    }
  }

  /// Whether the provider does not show `pair` to the administrator. A credential that administers itself sees nothing
  /// with a refused pair, so this is then true.
  private func isHidden(_ pair: Pair) async throws -> Bool {
    guard !credential.isSelfAdministered else { return true }
    do {
      let seen = try await look()
      return !seen.primary.matches(pair) && !seen.others.contains { $0.matches(pair) }
    } catch let error as ProviderError where error.code == .configuration {
      // Nothing that it shows is known here.
      return true
    } catch let error as ProviderError {
      throw RotationError(
        error, while: "the pair that was handed over is refused, and the provider's pairs cannot be seen", name)
    }
  }

  private func refusal(ofHandedOver pair: Pair) async throws -> ProviderError? {
    do {
      _ = try await ask { try await self.provider.grant(pair, overNewConnection: true) }
      return nil
    } catch let error as ProviderError where error.code == .refused {
      return error
    } catch let error as ProviderError {
      throw RotationError(error, while: "trying the pair that was handed over", name)
    }
  }

  private func recordAccepted(_ transfer: Transfer, _ version: UInt64) async throws -> RotationOutcome {
    try await recordTried(transfer, version, answers: nil)
    return .handedOver(version: version, .accepted)
  }

  private func recordRefused(
    _ transfer: Transfer, _ version: UInt64, _ answer: ProviderError, _ pair: HandedOverPair
  ) async throws -> RotationOutcome {
    try await recordTried(transfer, version, answers: .array([.string(answer.description)]))
    return .handedOver(version: version, pair)
  }

  private func recordTried(_ transfer: Transfer, _ version: UInt64, answers: JSONValue?) async throws {
    try await recordTried(
      transfer, version, isRefused: answers != nil, answers.map { ["answers": $0] } ?? [:])
  }

  /// Records that `error` kept a scheduled run from seeing whether the pair is refused.
  private func recordUntried(_ transfer: Transfer, because error: RotationError) async throws {
    try await recordTried(transfer, transfer.version, isRefused: nil, error.members)
  }

  /// Records the try; the next one waits, longer each time.
  private func recordTried(
    _ transfer: Transfer, _ version: UInt64, isRefused: Bool?, _ members: [String: JSONValue]
  ) async throws {
    let now = timing.now()
    let fields: [String: JSONValue] = [
      "handoff": .string(transfer.handoff.description), "version": .integer(Int(clamping: version)),
    ]
    credential = try await change(now: now) { change, credential in
      try transfer.requireStanding(of: credential)
      credential.transfer?.noteAttempt(isRefused: isRefused, now: now)
      return try change.save(credential, .handoffTried, fields.merging(members) { $1 })
    }
  }
}

extension Transfer {
  /// Throws `held` unless `credential` is still handed over by this transfer: a withdrawal needs no lease, so it may
  /// happen during the try.
  fileprivate func requireStanding(of credential: Credential) throws {
    guard credential.transfer?.handoff == handoff else {
      throw RotationError(
        .held, "\(credential.name): the handoff was withdrawn while its pair was tried",
        hint: "`relatch status \(credential.name)` shows where it stands")
    }
  }
}

extension RotationError {
  init(handedOver credential: Credential) {
    self.init(
      .handedOver,
      "\(credential.name): it was handed over at \(credential.transfer?.since.description ?? "-"), and is not rotated here",
      hint:
        "its holder rotates it; if nobody opened the handoff, `relatch handoff withdraw \(credential.name)` takes it back"
    )
  }
}
