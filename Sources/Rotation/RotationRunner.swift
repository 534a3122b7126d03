import Audit
import Storage
package import Vault

/// The result of the transaction that takes a lease.
struct RotationHold: Sendable {
  /// A rotation that began in the same transaction.
  struct Beginning: Sendable {
    let credential: Credential
    let sealed: SealedVersions
    let time: Timestamp
  }

  let lease: Lease
  /// The process, still alive, from which the lease was taken; nil if there was none.
  let overtaken: String?
  /// Whether the last holder never gave it back.
  let wasInterrupted: Bool
  var beginning: Beginning?
}

/// Runs rotations: takes the lease, reads the journal, and does the machine's next action until the goal is reached.
package struct RotationRunner: Sendable {
  /// What a run is for.
  package enum Goal: Hashable, Sendable {
    /// A new active pair; an unfinished rotation is finished instead of beginning another.
    case rotate
    /// The same, but a replaced pair that holds the staging slot is retired first, whether or not its grace is over.
    case rotateReplacingPrevious
    /// The end of what was begun, with the active pair delivered to what lacks it; nothing new is begun.
    case resume
    /// The end of an attempt that has not promoted its pair: the active pair stays.
    case abort
    /// The end of what is owed, whether or not its grace is over, once the active pair has arrived at every sink and
    /// hook.
    case retire
    /// The same, whatever has arrived.
    case retireUndelivered
    /// The active pair at every sink and hook that lacks it, or at all of them. Nothing is asked of the provider.
    case deliver(again: Bool)
    /// The provider's primary pair, which is none of the vault's, as the active one: the offered pair, or otherwise the
    /// one that the provider shows.
    case adopt(OfferedPair?)
    /// What leaked, replaced and ended at the provider, at once and ahead of every run that has another purpose.
    case revoke(Revocation)
    /// What the schedule asks for, if it still does under the lease: an unfinished rotation finished, a debt past its
    /// grace retired, the active pair delivered to what lacks it, or a new active pair. Failed attempts are journalled,
    /// so that the next one waits.
    case scheduled
  }

  let vault: UnlockedVault
  let timing: RotationTiming
  let schedule: RotationSchedule
  /// The holder of leases taken by this process, in words that `isGone` understands.
  let holder: String
  let isGone: @Sendable (_ holder: String) -> Bool
  let delivery: any PairDelivery
  let neighbours: Neighbours
  let progress: @Sendable (RotationProgress) -> Void

  /// `schedule` decides what the goal `scheduled` asks for; by default it uses the system's time zones. Runners of one
  /// process share `neighbours`; without them, credentials of one kind with the same settings are compared.
  package init(
    vault: UnlockedVault, timing: RotationTiming,
    schedule: RotationSchedule = RotationSchedule { TimeZoneRules(named: $0) }, holder: String,
    isGone: @escaping @Sendable (_ holder: String) -> Bool, delivery: any PairDelivery = NoDelivery(),
    neighbours: Neighbours? = nil, progress: @escaping @Sendable (RotationProgress) -> Void
  ) {
    self.vault = vault
    self.timing = timing
    self.schedule = schedule
    self.holder = holder
    self.isGone = isGone
    self.delivery = delivery
    self.neighbours =
      neighbours
      ?? Neighbours(randomness: timing.randomness) { provider, settings in
        let client = settings.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return PairPlace(servers: [], family: provider, client: client, isWhole: !client.isEmpty, isRotated: true)
      }
    self.progress = progress
  }

  /// How long a lease lasts at least after each journalled step; a run that waits, or sends a long request, renews it
  /// in between.
  static let minimumLeaseMilliseconds: Int64 = 300_000
  /// How long one request takes at most: a program's `time-limit` of 90 s and its end, with a token requested before
  /// it.
  static let maximumRequestLength = Duration.seconds(150)
  /// How long a lease is taken and renewed for. Because this is longer than `minimumLeaseMilliseconds`, most steps need
  /// not write it.
  static let leaseMilliseconds: Int64 = 360_000

  /// Brings `credential` to `goal`.
  ///
  /// Throws `RotationError`, `VaultError`, `StorageError` or `AuditError`. Whatever it throws, the vault holds every
  /// pair it held, and the same call continues where this one stopped. `onceHeld` runs as soon as the lease is taken
  /// and any leak is noted, before anything is asked of the provider.
  ///
  /// `keyID`, if given, is the key of the record from which `provider` was made. Throws `keyChanged`, and does nothing,
  /// if the credential has another key by now: an owner may have pointed it elsewhere.
  package func run(
    _ credential: String, goal: Goal, provider: any CredentialProvider, madeUnder keyID: String? = nil,
    onceHeld: @Sendable () async -> Void = {}
  ) async throws -> RotationOutcome {
    var opened: [UInt64: Pair] = [:]
    if case .revoke(let revocation) = goal {
      if revocation.isNoted, let active = try await settled(credential) {
        await onceHeld()
        return .settled(active: active)
      }
      opened = try await open(credential, for: revocation)
    }
    let hold = try await acquireLease(credential, for: goal, madeUnder: keyID)
    await onceHeld()
    let run: RotationRun
    do { run = try await RotationRun(self, credential: credential, hold, opened: opened, provider: provider) } catch {
      try await release(hold.lease, after: .failure(error))
      throw error
    }
    let result: Result<RotationOutcome, any Error>
    do { result = .success(try await run.reach(goal, wasInterrupted: hold.wasInterrupted)) } catch {
      result = .failure(error)
    }
    return try await run.end(result)
  }

  /// Gives the lease back after a run that ended with `result`.
  func release(_ lease: Lease, after result: Result<RotationOutcome, any Error>) async throws {
    do { try await vault.store.write { try $0.release(lease) } } catch let error as StorageError
      where error.code == .leaseLost
    {
      // An error that a run met after another had overtaken it says nothing about the credential or the provider.
      if case .failure = result { throw error }
    } catch {
      // A lease that cannot be given back expires, or is taken over once this process is gone.
    }
  }

  /// The name of the lease that a run of `credential` holds.
  package static func leaseName(of credential: Credential) -> String { "rotation/\(credential.id)" }

  /// Takes the lease. A leak is noted in the same transaction, and only by somebody who may open the credential. If
  /// nothing has to be finished or found out first, that transaction also logs what is opened and begins the rotation.
  private func acquireLease(
    _ name: String, for goal: Goal, madeUnder keyID: String?
  ) async throws -> RotationHold {
    let now = timing.now()
    let holder = Self.holder(holder, for: goal)
    let isGone = isGone
    let member = vault.member
    do {
      let (hold, noted) = try await vault.change(now: now) { change in
        if goal.urgency > .routine { try change.view.requireKey(of: change.view.credential(name), for: member) }
        var credential = try change.view.credential(name)
        guard keyID ?? credential.keyID == credential.keyID else {
          throw VaultError(.keyChanged, "the key of \(name) was renewed while a run of it began")
        }
        let leaseName = Self.leaseName(of: credential)
        let last = try change.leases.leaseHolder(of: leaseName)
        // Noted ahead, a leak may have been ended by another run since: nobody is overtaken for that.
        let isEnded =
          if case .revoke(let revocation) = goal { revocation.isNoted && credential.leak == nil } else { false }
        var overtaken: String?
        let lease = try change.leases.acquireLease(
          leaseName, holder: holder, now: now.milliseconds, milliseconds: Self.leaseMilliseconds
        ) { words in
          let process = Self.process(holding: words).words
          if isGone(process) { return true }
          // An overtaken run can write nothing any more: its number is no longer the newest.
          overtaken = isEnded || !Self.overtakes(goal, words) ? nil : process
          return overtaken != nil
        }
        let administration = LeakedAdministration(of: credential, in: change.view)
        var noted = try change.endReach(of: credential, for: member)
        credential = noted ?? credential
        if case .revoke(let revocation) = goal, !credential.isTransferred,
          // What was overtaken for it is logged in any case.
          !revocation.isNoted || overtaken != nil
        {
          noted = try revocation.note(in: change, credential, under: administration, overtook: overtaken, now: now)
        }
        var hold = RotationHold(lease: lease, overtaken: overtaken, wasInterrupted: last != nil)
        if noted == nil, try beginsAtOnce(credential, for: goal, in: change.view, now: now) {
          let sealed = try change.readingLiving(of: credential, for: member)
          hold.beginning = RotationHold.Beginning(
            credential: try change.begin(credential), sealed: sealed, time: now)
        }
        return (hold, noted)
      }
      if let noted {
        progress(
          RotationProgress(
            credential: name, rotation: noted.rotation, time: now, event: EventName.credentialLeaked.text,
            version: noted.leak?.version))
      }
      if let begun = hold.beginning?.credential {
        progress(
          RotationProgress(
            credential: name, rotation: begun.rotation, time: now, event: "begun",
            version: begun.version(in: .active)?.number))
      }
      return hold
    } catch let error as StorageError where error.code == .leaseHeld {
      let held = try? await vault.read { try $0.leaseHolder(of: Self.leaseName(of: $0.credential(name)))?.holder }
      throw RotationError(
        .held, "\(name) is held by another run\(held.map { " (\(Self.briefly($0)))" } ?? "")",
        hint: "wait for that run to end; if its process is gone, the next run takes over")
    }
  }

  /// Whether a run for `goal` begins a rotation next: the record says that nothing is under way, and nothing else comes
  /// first.
  private func beginsAtOnce(
    _ credential: Credential, for goal: Goal, in view: VaultView, now: Timestamp
  ) throws -> Bool {
    guard credential.ended == credential.rotation, credential.transfer == nil, credential.leak == nil else {
      return false
    }
    switch goal {
    case .rotate, .rotateReplacingPrevious: break
    case .scheduled:
      guard case .due(let reason) = try schedule.standing(of: credential, in: view, now: now), reason.isForNewPair
      else { return false }
    case .resume, .abort, .retire, .retireUndelivered, .deliver, .adopt, .revoke: return false
    }
    return try view.restoration(unreconciled: credential) == nil
  }
}
