import Audit
import Rotation
import Vault

/// What the metrics say about a vault at one moment, read without unlocking anything.
struct VaultFigures: Sendable {
  /// How a run of `rotate` or `retire` ended.
  struct Run: Sendable {
    let ended: Timestamp
    let code: ExitCode
  }

  let written: Timestamp
  /// The size of the database and of its write-ahead log; nil if the file system does not say.
  let vaultBytes: Int64?
  let logEntries: UInt64
  /// The time of the newest entry, which a signed checkpoint covers.
  let checkpointed: Timestamp?
  let credentials: [CredentialFigures]
  /// What is wrong with each damaged credential, which has no other figures. If none is damaged, what is wrong with an
  /// index whose rows do not match the credentials.
  let damage: [Failure]
  /// What each witness has seen of the log.
  let witnesses: [WitnessFigures]
  /// Nil if no run writes these.
  let run: Run?

  init(
    written: Timestamp, vaultBytes: Int64?, logEntries: UInt64, checkpointed: Timestamp?,
    credentials: [CredentialFigures], damage: [Failure] = [],
    witnesses: [WitnessFigures] = [], run: Run?
  ) {
    self.written = written
    self.vaultBytes = vaultBytes
    self.logEntries = logEntries
    self.checkpointed = checkpointed
    self.credentials = credentials
    self.damage = damage
    self.witnesses = witnesses
    self.run = run
  }

  /// Reads all figures of the vault of `view`. Throws as `VaultView` does: figures that are not authentic are not
  /// written. A damaged credential hides no other.
  init(
    _ view: VaultView, schedule: RotationSchedule, records: WitnessRecords.Found, vaultBytes: Int64?,
    written: Timestamp, run: Run?
  ) throws {
    let readable = try view.credentialRecords()
    let size = view.logSize
    let partners = Partners(readable.credentials)
    var index = try IndexCheck(view)
    let findings = CredentialFindings(readable) { credential in
      try index.require(credential)
      let journal = try RotationJournal(view, of: credential)
      return CredentialFigures(
        credential, journal: journal, now: written,
        appointment: try schedule.appointment(
          for: credential, journal: journal, partners: partners.of(credential),
          standing: schedule.standing(of: credential, journal: journal, in: view, now: written), now: written))
    }
    var damage = findings.failures.map(\.failure)
    if damage.isEmpty {
      do { try index.finish() } catch { damage.append(Failure(error)) }
    }
    self.init(
      written: written, vaultBytes: vaultBytes, logEntries: size,
      checkpointed: try size == 0 ? nil : view.authenticatedEntry(at: size - 1).time,
      credentials: findings.found, damage: damage,
      witnesses: try view.standings(of: records).map { WitnessFigures($0) }, run: run)
  }
}

/// What the metrics say about one witness.
struct WitnessFigures: Sendable {
  let name: String
  /// How many entries of the log it has not seen.
  let unseen: UInt64
  /// When the first of them came; nil if there is none.
  let since: Timestamp?
}

extension WitnessFigures {
  init(_ standing: WitnessStanding) {
    self.init(name: standing.witness.witness.name, unseen: standing.unseen, since: standing.since)
  }
}

/// Which credentials must not rotate together, whichever of the two says so.
private struct Partners {
  private var lists: [String: [Credential]] = [:]

  init(_ credentials: [Credential]) {
    let named = Dictionary(credentials.map { ($0.name, $0) }) { first, _ in first }
    for credential in credentials {
      for partner in credential.policy.notTogetherWith.compactMap({ named[$0] }) where partner.name != credential.name {
        lists[credential.name, default: []].append(partner)
        lists[partner.name, default: []].append(credential)
      }
    }
  }

  func of(_ credential: Credential) -> [Credential] { lists[credential.name] ?? [] }
}

/// What the metrics say about one credential.
struct CredentialFigures: Sendable {
  let name: String
  let provider: String
  /// When the active pair was made.
  let created: Timestamp?
  /// The earliest end that the provider has set for versions not retired, by stage, where it says so.
  let expiries: [(stage: Stage, at: Timestamp)]
  /// Since when someone whose access has ended knows the active pair; nil if nobody does.
  let exposed: Timestamp?
  /// Since when a leak is noted that is not ended; nil if there is none.
  let leaked: Timestamp?
  /// Nil without a schedule.
  let appointment: RotationSchedule.Appointment?
  /// When a rotation last succeeded.
  let lastSuccess: Timestamp?
  /// Nil before the first rotation.
  let state: RotationState?
  /// When the rotation began whose new pair is not yet verified; nil if there is none.
  let unfinishedSince: Timestamp?
  let failedAttempts: Int
  let debts: Int
  /// Since when the oldest debt is owed.
  let oldestDebt: Timestamp?
  /// From when the debts may be settled; for a pair that was handed over, when that was confirmed, or may no longer be
  /// opened.
  let debtsDue: Timestamp?
  /// How many sinks and hooks have not got the active version; nil if it has none.
  let undelivered: Int?
}

extension CredentialFigures {
  init(_ credential: Credential, journal: RotationJournal?, now: Timestamp, appointment: RotationSchedule.Appointment?)
  {
    let active = credential.version(in: .active)
    let debts = credential.debts
    name = credential.name
    provider = credential.provider
    created = active?.created
    expiries = [Stage.active, .staged, .previous].compactMap { stage in
      credential.versions.filter { $0.stage == stage }.compactMap(\.expires).min().map { (stage: stage, at: $0) }
    }
    // What a wrong clock dated ahead would have no age, and raise no alert, until then. So it counts from an earlier day.
    func isAhead(_ moment: Timestamp) -> Bool { moment > now + RotationSchedule.maximumClockSkew }
    func past(_ moment: Timestamp) -> Timestamp {
      [moment, credential.created].first { !isAhead($0) } ?? Timestamp(milliseconds: 0)
    }
    exposed = (credential.exposure?.since).map(past)
    leaked = [credential.leak?.since, credential.reach?.since].compactMap { $0.map(past) }.min()
    self.appointment = appointment
    // Version 1 came by `add`.
    lastSuccess = active.flatMap { $0.number > 1 ? $0.since : nil }
    state = journal?.machine.state
    unfinishedSince = journal.flatMap { $0.machine.state.isUnverified ? past($0.began) : nil }
    failedAttempts = journal?.failedAttempts ?? 0
    self.debts = debts.count
    oldestDebt = debts.map { past($0.since) }.min()
    // Each try of a pair that was handed over sets the next one's date, so that says nothing about how long it is owed.
    let due = credential.transfer.map { $0.confirmed ?? $0.expires } ?? journal?.graceEnds(of: credential)
    let counted = credential.transfer.map { $0.confirmed ?? $0.since } ?? debts.map(\.since).max()
    debtsDue = debts.isEmpty ? nil : due.map { counted.map(isAhead) ?? false ? past($0) : $0 }
    undelivered = credential.deliveries.isEmpty ? nil : credential.undelivered.count
  }
}

extension RotationState {
  /// Whether the rotation has neither verified its pair nor been given up. What comes after that shows as a debt.
  fileprivate var isUnverified: Bool {
    switch self {
    case .ready, .staging, .staged, .validating, .validated, .promoting, .promoted, .verifying, .rejected, .discarding:
      true
    case .owed, .retiring, .deleted, .proving, .settled, .failed: false
    }
  }
}
