import Audit
import Delivery
import Sodium
import Synchronization
import Transport
import Vault

/// Hands the newest checkpoint to the vault's witnesses, and keeps what they answer. Nothing leaves the vault but the
/// checkpoint and the proof that it extends an older one. Neither needs an identity.
struct Submission: Sendable {
  /// The result with one witness.
  enum Outcome: Sendable {
    /// It has the checkpoint now, or had it before.
    case took(SignedCheckpoint)
    /// It cannot be reached, or does not answer as it should. It has seen nothing, and nothing worse is known.
    case missed(Failure)
    /// Nothing is handed to it, because nothing says that this user means the vault that names it, or because whoever
    /// added it is no longer an owner.
    case withheld(Failure)
    /// It, or the record kept of it, has seen another log than this one.
    case contradicts(Failure)
  }

  /// The limit at the end of a run, whose work is done and reported by then.
  static let briefly = Duration.seconds(5)
  /// The limit if somebody is waiting for the result.
  static let patiently = Duration.seconds(30)
  /// How far a witness's clock may be ahead.
  static let clockTolerance = Duration.seconds(3600)
  private static let statusOfSize = "text/x.tlog.size"

  let vault: LockedVault
  let records: WitnessRecords
  /// The vault's folder.
  private let place: String
  /// How long each witness may take.
  let limit: Duration
  /// Whether a person or a job asked for it, rather than a run at its end.
  private let isAskedFor: Bool

  init(_ vault: LockedVault, of places: Places, limit: Duration, isAskedFor: Bool) {
    self.vault = vault
    records = places.witnessRecords
    place = places.vault
    self.limit = limit
    self.isAskedFor = isAskedFor
  }

  /// Hands the checkpoint to all witnesses at the same time, or to those called `names`. Throws `notFound`, and what
  /// reading the vault throws.
  ///
  /// Starts, sends and writes nothing unless this user trusts the vault, because whoever put it there chose the places;
  /// and nothing for a witness that no present owner added.
  func run(_ names: [String] = []) async throws -> [(name: String, outcome: Outcome)] {
    let all = try await vault.read { $0.witnesses }
    if let unknown = names.first(where: { name in !all.contains { $0.witness.name == name } }) {
      throw VaultError(
        .notFound, "the vault has no witness \(Name.printable(unknown))",
        hint: "`relatch log witness list` lists the witnesses")
    }
    let chosen = names.isEmpty ? all : all.filter { names.contains($0.witness.name) }
    let isTrusted = try await OpenedVaults.shared.isTrusted(at: place)
    let began = WallClock.now()
    let waits = chosen.map { witness in (witness, Wait { await outcome(with: witness, isTrusted: isTrusted) }) }
    var outcomes: [(name: String, outcome: Outcome)] = []
    for (witness, wait) in waits {
      // A program that is told to end may take its time. A file system that hangs is left behind.
      let outcome = await wait.result(
        within: max(.zero, limit + HookRunner.patience + .seconds(1) - (WallClock.now() - began)))
      outcomes.append(
        (witness.witness.name, outcome ?? .missed(Self.missed(witness.witness, "no answer within \(limit)"))))
    }
    return outcomes
  }

  private func outcome(with witness: Membership.StandingWitness, isTrusted: Bool) async -> Outcome {
    do {
      // `log verify` reports a damaged record; a new one replaces it.
      let seen = try? records.checkpoint(of: witness)
      let name = witness.witness.name
      let newest = try await vault.read { view in
        if let seen { try view.requireExtension(of: seen.checkpoint, takenBy: name) }
        return try view.handover(after: 0, to: name).0
      }
      guard isTrusted else { return .withheld(Self.unknown(witness.witness)) }
      do { try await vault.read { try $0.requireOwners(witness) } } catch let error as VaultError
        where error.code == .notPermitted
      {
        return .withheld(Failure(error))
      }
      if !isAskedFor, try await vault.read({ $0.isRestored(since: seen?.checkpoint, by: witness) }) {
        // Whoever rewrote the log could have written that it was restored: what is there is looked at all the same.
        if let found = try WitnessPlace(witness.witness, origin: newest.checkpoint.origin)?.newest() {
          try await vault.read { try $0.requireExtension(ofPlaced: found, at: name) }
        }
        return .missed(Self.missed(witness.witness, Self.restored))
      }
      // A place elsewhere is always looked at: anyone who may write there may have changed it since.
      if let place = WitnessPlace(witness.witness, origin: newest.checkpoint.origin) {
        return .took(try await put(at: place, witness))
      }
      if let seen, seen.checkpoint == newest.checkpoint { return .took(seen) }
      let cosigned: SignedCheckpoint
      switch witness.witness.kind {
      case .command(let arguments, let key): cosigned = try await ask(arguments, key, newest)
      case .http(let url, let key): cosigned = try await ask(url, key, witness, seen?.checkpoint.size ?? 0)
      case .file, .folder: return .took(newest)
      }
      try records.keep(cosigned, of: witness)
      return .took(cosigned)
    } catch let error as VaultError where error.code == .rolledBack {
      return .contradicts(Self.contradiction(error))
    } catch let error as AuditError { return .missed(Self.missed(witness.witness, error.description)) } catch {
      return .missed(Self.missed(witness.witness, Failure(error).message))
    }
  }

  /// The failure for a witness that has seen another log.
  static func contradiction(_ error: VaultError) -> Failure {
    Failure(
      .corruptData, error.description,
      hint:
        "the log was cut off or rewritten, or that witness is wrong: compare with the others, and find out who did it"
    )
  }

  private static func missed(
    _ witness: Witness, _ reason: String,
    hint: String = "nothing else depends on it; `relatch log witness submit` tries it again"
  ) -> Failure {
    Failure(
      .providerUnreachable, "witness \(witness.name) (\(witness.place)) has not taken the checkpoint: \(reason)",
      hint: hint)
  }

  private static let restored =
    "the vault was restored from a backup since; unless you only try that, `relatch log witness submit` goes on"

  private static func unknown(_ witness: Witness) -> Failure {
    missed(
      witness, "the vault is not known here yet, so nothing is sent to the places that it names",
      hint: "`relatch log verify --owner KEY` checks that it is the vault you mean and makes it known here; reading or"
        + " rotating anything of it with your identity also does")
  }

  // MARK: - Ways to a witness

  private func put(at place: WitnessPlace, _ witness: Membership.StandingWitness) async throws -> SignedCheckpoint {
    let name = witness.witness.name
    for _ in 0..<4 {
      let found = try place.newest()
      let newest = try await vault.read { view in
        if let found { try view.requireExtension(ofPlaced: found, at: name) }
        return try view.handover(after: found?.checkpoint.size ?? 0, to: name).0
      }
      // Others hand over checkpoints of this vault at the same time, and the larger one must stay.
      let isThere = try records.withExclusiveAccess {
        guard try place.newest() == found else { return false }
        if found?.checkpoint != newest.checkpoint { try place.put(newest) }
        return true
      }
      guard isThere else { continue }
      try records.keep(newest, of: witness)
      return newest
    }
    throw VaultError(.cannotWrite, "\(witness.witness.place) kept changing while it was written")
  }

  private func ask(_ arguments: [String], _ key: WitnessKey, _ newest: SignedCheckpoint) async throws
    -> SignedCheckpoint
  {
    let said = try await HookRunner.ofThisProcess.output(
      of: HookSettings(occasion: .promoted, arguments: arguments, timeLimit: limit),
      input: SharedSecret(try SecretBytes(copying: newest.bytes.span.bytes)))
    // Whatever else it prints, for people, is on lines of its own.
    let lines = said.split(separator: 0x0A).filter { $0.starts(with: "— ".utf8) }
    return try cosigned(newest, by: key, Array(lines.map { $0 + [0x0A] }.joined()))
  }

  private func ask(
    _ url: String, _ key: WitnessKey, _ witness: Membership.StandingWitness, _ seen: UInt64
  ) async throws -> SignedCheckpoint {
    let transport = CurlTransport()
    do {
      let answer = try await ask(url, key, witness, seen, by: transport)
      await transport.shutdown()
      return answer
    } catch {
      await transport.shutdown()
      throw error
    }
  }

  private func ask(
    _ url: String, _ key: WitnessKey, _ witness: Membership.StandingWitness, _ seen: UInt64, by transport: CurlTransport
  ) async throws -> SignedCheckpoint {
    let name = witness.witness.name
    var old = seen
    // It may know another size than its record says, and others may hand over meanwhile.
    for _ in 0..<4 {
      let from = old
      let (newest, proof) = try await vault.read { try $0.handover(after: from, to: name) }
      let answer = try await transport.send(
        HTTPRequest(
          .post, Endpoint(url + "/add-checkpoint"),
          body: .bytes(WitnessExchange.request(proof, newest), contentType: "text/plain; charset=utf-8"),
          limits: HTTPRequest.Limits(connecting: limit, total: limit, answer: SignedCheckpoint.maximumAnswerLength),
          isMutating: false))
      let body = answer.body.secret.withUnsafeBytes { Array($0) }
      switch answer.status {
      case 200: return try cosigned(newest, by: key, body)
      case 409:
        let known: UInt64? =
          answer.header("content-type")?.hasPrefix(Self.statusOfSize) == true ? try WitnessExchange.size(body) : nil
        // c2sp.org/tlog-witness: 409 at the same size means another root. Another size may come from a run that was
        // faster.
        if from == newest.checkpoint.size, known == nil || known == from {
          throw VaultError(
            .rolledBack, "witness \(name) says that it has seen another history of the log's \(from) entries")
        }
        guard let known else { throw AuditError(.malformed, "it answered with 409 and no size") }
        old = known
      case 422:
        throw VaultError(
          .rolledBack, "witness \(name) says that the log does not extend the \(from) entries that it has seen")
      case 403: throw AuditError(.unknownSigner, "it does not know the signer's key: give it those of all members")
      case 404: throw AuditError(.notFound, "it does not know the log \(newest.checkpoint.origin)")
      default: throw AuditError(.malformed, "it answered with status \(answer.status)")
      }
    }
    throw AuditError(.inconsistent, "it names a different size each time")
  }

  private func cosigned(_ newest: SignedCheckpoint, by key: WitnessKey, _ answer: [UInt8]) throws -> SignedCheckpoint {
    let cosigned = try newest.cosigned(by: key, answer: answer)
    if let statement = try cosigned.cosignature(by: key), statement.moment > WallClock.now() + Self.clockTolerance {
      throw AuditError(.malformed, "its cosignature is dated \(statement.moment), which is in the future")
    }
    return cosigned
  }
}

/// A task whose result is awaited no longer than a limit. One that does not end is left behind.
private final class Wait<Result: Sendable>: Sendable {
  private let gate: Gate
  private let task: Task<Void, Never>
  private let value: Holder<Result>

  init(_ body: @escaping @Sendable () async -> Result) {
    let (gate, value) = (Gate(), Holder<Result>())
    (self.gate, self.value) = (gate, value)
    task = Task.detached(executorPreference: RunExecutor.shared) {
      value.set(await body())
      gate.open()
    }
  }

  func result(within limit: Duration) async -> Result? {
    await gate.pass(orAfter: limit)
    task.cancel()
    return value.get()
  }
}

private final class Holder<Value: Sendable>: Sendable {
  private let value = Mutex<Value?>(nil)

  func set(_ value: Value) { self.value.withLock { $0 = value } }

  func get() -> Value? { value.withLock { $0 } }
}

extension Places {
  var witnessRecords: WitnessRecords { WitnessRecords(in: vault + "/witnesses") }
}
