import Audit
import Storage
package import Vault

/// Runs rotations: takes the lease, reads the journal, and does the machine's next action until the goal is reached.
package struct RotationRunner: Sendable {
  /// What a run is for.
  package enum Goal: Hashable, Sendable {
    /// A new active pair; an unfinished rotation is finished instead of beginning another.
    case rotate
    /// The same, and a replaced pair that holds the staging slot is retired first, its grace over or not.
    case rotateReplacingPrevious
    /// The end of what was begun, and what lacks the active pair served; nothing new is begun.
    case resume
    /// The end of an attempt that has not promoted its pair: the active pair stays.
    case abort
    /// The end of what is owed, its grace over or not, once the active pair has arrived at every sink and hook.
    case retire
    /// The same, whatever has arrived.
    case retireUndelivered
    /// The active pair at every sink and hook that lacks it, or at all. Nothing is asked of the provider.
    case deliver(again: Bool)
    /// The provider's primary pair, which is none of the vault's, as the active one: the pair offered, or else as the
    /// provider shows it.
    case adopt(OfferedPair?)
    /// What leaked, replaced and ended at the provider, at once and ahead of every run that is not for that.
    case revoke(Revocation)
    /// What the schedule asks for, if it still does under the lease: an unfinished rotation finished, a debt past its grace
    /// retired, what lacks the active pair served, or a new active pair. Attempts that come to nothing are journalled, so
    /// that the next one waits.
    case scheduled
  }

  let vault: UnlockedVault
  let timing: RotationTiming
  let schedule: RotationSchedule
  /// Who holds leases taken by this process, in words that `isGone` understands.
  let holder: String
  let isGone: @Sendable (_ holder: String) -> Bool
  let delivery: any PairDelivery
  let progress: @Sendable (RotationProgress) -> Void

  /// `schedule` decides what the goal `scheduled` asks for; by the system's time zones if none is given.
  package init(
    vault: UnlockedVault, timing: RotationTiming,
    schedule: RotationSchedule = RotationSchedule { TimeZoneRules(named: $0) }, holder: String,
    isGone: @escaping @Sendable (_ holder: String) -> Bool, delivery: any PairDelivery = NoDelivery(),
    progress: @escaping @Sendable (RotationProgress) -> Void
  ) {
    self.vault = vault
    self.timing = timing
    self.schedule = schedule
    self.holder = holder
    self.isGone = isGone
    self.delivery = delivery
    self.progress = progress
  }

  /// How long a lease lasts at least after each journalled step. Longer than any step's requests, each of at most 30 s, with
  /// a token asked for twice between them; a run that waits renews it.
  static let enoughMilliseconds: Int64 = 300_000
  /// How long it is taken and renewed for: the rest is what saves most steps the writing.
  static let leaseMilliseconds: Int64 = 360_000

  /// Brings `credential` to `goal`.
  ///
  /// Throws `RotationError`, `VaultError`, `StorageError` or `AuditError`. Whatever it throws, the vault holds every pair it
  /// held, and the same call continues where this one stopped. `onceHeld` is done as soon as the lease is taken, and with it a leak
  /// noted: nothing was asked of the provider by then.
  package func run(
    _ credential: String, goal: Goal, provider: any CredentialProvider,
    onceHeld: @Sendable () async -> Void = {}
  ) async throws -> RotationOutcome {
    var opened: [UInt64: Pair] = [:]
    if case .revoke(let revocation) = goal { opened = try await open(credential, for: revocation) }
    let (lease, overtaken, wasInterrupted) = try await acquireLease(credential, for: goal)
    let result: Result<RotationOutcome, any Error>
    do {
      await onceHeld()
      let run = try await RotationRun(self, credential: credential, lease: lease, provider: provider)
      await run.note(overtaken: overtaken, opened: opened)
      result = .success(try await run.reach(goal, wasInterrupted: wasInterrupted))
    } catch {
      result = .failure(error)
    }
    do { try await vault.store.write { try $0.release(lease) } } catch let error as StorageError
      where error.code == .leaseLost
    {
      // What a run met after another had overtaken it says nothing of the credential or of the provider.
      if case .failure = result { throw error }
    } catch {
      // A lease that cannot be given back expires, or is taken over once this process is gone.
    }
    return try result.get()
  }

  /// The lease that a run of `credential` holds.
  package static func leaseName(of credential: Credential) -> String { "rotation/\(credential.id)" }

  /// Takes the lease; also says whether the last holder never gave it back, and who is overtaken alive. A leak is noted in the
  /// same step, and only by somebody who may open the credential.
  private func acquireLease(
    _ name: String, for goal: Goal
  ) async throws -> (Lease, overtaken: String?, wasInterrupted: Bool) {
    let now = timing.now()
    let holder = Self.holder(holder, for: goal)
    let isGone = isGone
    let member = vault.member
    do {
      let (lease, overtaken, wasInterrupted, noted) = try await vault.change(now: now) { change in
        if goal.urgency > .routine { try change.view.requireKey(of: change.view.credential(name), for: member) }
        let credential = try change.view.credential(name)
        let leaseName = Self.leaseName(of: credential)
        let last = try change.leases.leaseHolder(of: leaseName)
        var overtaken: String?
        let lease = try change.leases.acquireLease(
          leaseName, holder: holder, now: now.milliseconds, milliseconds: Self.leaseMilliseconds
        ) { words in
          let process = Self.process(holding: words).words
          if isGone(process) { return true }
          // Whoever is overtaken can write nothing any more: its number is no longer the newest.
          overtaken = Self.overtakes(goal, words) ? process : nil
          return overtaken != nil
        }
        var noted: Credential?
        if case .revoke(let revocation) = goal, !credential.isTransferred {
          noted = try revocation.note(in: change, credential, overtook: overtaken, now: now)
        }
        return (lease, overtaken, last != nil, noted)
      }
      if let noted {
        progress(
          RotationProgress(
            credential: name, rotation: noted.rotation, time: now, event: EventName.credentialLeaked.text,
            version: noted.leak?.version))
      }
      return (lease, overtaken, wasInterrupted)
    } catch let error as StorageError where error.code == .leaseHeld {
      let held = try? await vault.read { try $0.leaseHolder(of: Self.leaseName(of: $0.credential(name)))?.holder }
      throw RotationError(
        .held, "\(name) is held by another run\(held.map { " (\(Self.briefly($0)))" } ?? "")",
        hint: "wait for that run to end; if its process is gone, the next run takes over by itself")
    }
  }
}
