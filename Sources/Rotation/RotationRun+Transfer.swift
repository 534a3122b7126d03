import Audit
import JSON
import Vault

// A credential that was handed over is rotated by whoever has it now. What is left here is a debt: the pair that was sent, until
// its provider refuses it.
extension RotationRun {
  /// Tries the pair that was handed over, where `goal` is the end of what is owed; whatever else is asked for is refused.
  func settle(_ transfer: Transfer, for goal: RotationRunner.Goal) async throws -> RotationOutcome {
    switch goal {
    case .resume, .retire, .retireUndelivered: break
    case .scheduled:
      let (credential, schedule, now) = (credential, runner.schedule, timing.now())
      _ = try await runner.vault.read { try schedule.requireDue(credential, in: $0, now: now) }
    case .rotate, .rotateReplacingPrevious, .abort, .deliver, .adopt, .revoke:
      throw RotationError(handedOver: credential)
    }
    guard credential.version(in: .active) != nil else {
      throw RotationError(
        .nothingOwed, "\(name): version \(transfer.version) was handed over and seen to be refused: nothing is owed",
        hint: "`relatch remove \(name)` takes it out of this vault")
    }
    try await openPairs()
    let (version, pair) = try pair(in: .active)
    guard let first = try await refusal(ofHandedOver: pair), let second = try await refusalAgain(ofHandedOver: pair)
    else {
      return try await recordTried(transfer, version)
    }
    let answers = [first, second].map { JSONValue.string($0.description) }
    let now = timing.now()
    credential = try await change(now: now) { change, credential in
      credential.settleTransfer(now: now)
      return try change.save(
        credential, .handoffSettled,
        [
          "answers": .array(answers), "handoff": .string(transfer.handoff.description),
          "version": .integer(Int(clamping: version)),
        ])
    }
    return .handedOver(version: version, isRefused: true)
  }

  /// Refused once may be an outage that refuses everybody. Where another credential administers this one, the provider must
  /// answer that one in between, and not show the pair; else some time must pass.
  private func refusalAgain(ofHandedOver pair: Pair) async throws -> ProviderError? {
    if credential.isSelfAdministered {
      try await pause(.seconds(2))
    } else {
      do {
        let seen = try await look()
        guard !seen.primary.matches(pair), !seen.others.contains(where: { $0.matches(pair) }) else { return nil }
      } catch let error as ProviderError where error.code == .configuration {
        // It answers its administrator, and nothing that it has is known here.
      } catch let error as ProviderError {
        throw RotationError(error, while: "the pair that was handed over is refused, and nothing else seen", name)
      }
    }
    return try await refusal(ofHandedOver: pair)
  }

  private func refusal(ofHandedOver pair: Pair) async throws -> ProviderError? {
    do {
      _ = try await ask { try await self.provider.grant(pair) }
      return nil
    } catch let error as ProviderError where error.code == .refused {
      return error
    } catch let error as ProviderError {
      throw RotationError(error, while: "trying the pair that was handed over", name)
    }
  }

  /// The next try waits, longer each time.
  private func recordTried(_ transfer: Transfer, _ version: UInt64) async throws -> RotationOutcome {
    let now = timing.now()
    credential = try await change(now: now) { change, credential in
      credential.transfer?.noteAttempt(now: now)
      return try change.save(
        credential, .handoffTried,
        ["handoff": .string(transfer.handoff.description), "version": .integer(Int(clamping: version))])
    }
    return .handedOver(version: version, isRefused: false)
  }
}

extension RotationError {
  init(handedOver credential: Credential) {
    self.init(
      .handedOver,
      "\(credential.name): it was handed over at \(credential.transfer?.since.description ?? "-"), and is not rotated here",
      hint:
        "it is rotated where it was handed to; `relatch handoff withdraw \(credential.name)` takes back what nobody opened"
    )
  }
}
