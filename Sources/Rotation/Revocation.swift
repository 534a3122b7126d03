import Audit
import JSON
import Storage
package import Vault

/// A reported leak of a credential, and how its leaked pairs are to be ended.
package struct Revocation: Hashable, Sendable {
  /// The incident's name; one incident may be about many credentials.
  package let incident: String
  /// Why, in the words of the person who reported it. It is written to the log.
  package let reason: String
  /// The newest version that leaked; nil for the active one.
  package let version: UInt64?
  /// Whether the leaked pair is ended before its replacement is proved and delivered, so that no pair may be accepted
  /// for a while: an exception to laws 2 and 3.
  package let isContainment: Bool
  /// Whether the leaked pair is ended although a sink or hook lacks its replacement. Containment always does so.
  package let evenIfUndelivered: Bool
  /// Whether the leak was noted ahead of its run (`RotationRunner.note`).
  package var isNoted = false

  package init(
    incident: String, reason: String, version: UInt64? = nil, isContainment: Bool = false,
    evenIfUndelivered: Bool = false
  ) {
    self.incident = incident
    self.reason = reason
    self.version = version
    self.isContainment = isContainment
    self.evenIfUndelivered = evenIfUndelivered || isContainment
  }

  /// Fails with `invalidInput` unless `reason` is fit for a log: some words, at most 1,000 bytes, and only visible
  /// text.
  package static func check(reason: String) throws(VaultError) { try VisibleText.check(reason, "the reason") }
}

extension Revocation {
  /// Notes the leak in the record of `credential` and logs the report, in the transaction that takes the lease.
  /// Whatever can be done about it afterwards, the leak is known, and so is who was overtaken for it.
  ///
  /// `administration` was looked up before anything was written.
  func note(
    in change: VaultChange, _ credential: Credential, under administration: LeakedAdministration, overtook: String?,
    now: Timestamp
  ) throws -> Credential {
    var credential = credential
    var version = version ?? credential.leak?.version ?? credential.version(in: .active)?.number ?? 0
    // The leak reaches no further than the newest version or, if a damaged journal does not show that one, than the
    // next possible one.
    let newest = (try? change.view.newestKnown(of: credential)) ?? credential.newestNumber + 1
    if version > credential.newestNumber { version = min(version, newest) }
    if administration.endedSinceStaging { version = max(version, newest) }
    credential.noteLeak(incident: incident, version: version, now: now)
    let reaching = newest > credential.leak?.version ?? newest ? administration.reaching : []
    credential.noteReach(by: reaching, now: now)
    // A report about a leak that is already noted belongs to the same incident.
    var fields: [String: JSONValue] = [
      "containment": .bool(isContainment), "incident": .string(credential.leak?.incident ?? incident),
      "reason": .string(reason), "version": .integer(Int(clamping: version)),
    ]
    if let overtook { fields["overtook"] = .string(overtook) }
    if !reaching.isEmpty { fields["reached_by"] = .array(reaching.sorted().map { .string($0) }) }
    return try change.save(credential, .credentialLeaked, fields)
  }
}

/// What is known of the administrators of a credential whose leak is about to be noted.
struct LeakedAdministration {
  /// Those of which a leaked pair may be accepted: they reach what was made since the leaked version.
  let reaching: [String]
  /// Whether one of them got another pair after the staged pair was made, which therefore counts as leaked, too.
  let endedSinceStaging: Bool

  /// `others` are to be noted as leaked in the same transaction.
  init(of credential: Credential, besides others: Set<String> = [], in view: VaultView) {
    let leaked = view.leakedAdministrators(of: credential.name)
    reaching = view.administrators(of: credential.name).filter { leaked.contains($0) || others.contains($0) }
    endedSinceStaging = view.isStagedUnderReplacedPair(credential)
  }
}

extension VaultChange {
  /// Counts what was made for `credential` as leaked if its reach is over, and logs that; returns the record as it is then.
  /// Nil, with nothing written, if there is no such reach, or `member` may not open the credential.
  func endReach(of credential: Credential, for member: Member) throws -> Credential? {
    guard let reach = credential.reach, try view.canOpen(credential, member) else { return nil }
    let ended = try view.withReachEnded(credential, now: now)
    guard ended.reach == nil else { return nil }
    let fields: [String: JSONValue] = [
      "containment": false, "incident": .string(ended.leak?.incident ?? reach.incident),
      "reach": "ended", "reached_by": .array(reach.by.map { .string($0) }),
      "reason": .string("made while a leaked pair of \(reach.by.joined(separator: ", ")) may have been accepted"),
      "version": .integer(Int(clamping: ended.leak?.version ?? ended.newestNumber)),
    ]
    return try save(ended, .credentialLeaked, fields)
  }
}

extension RotationRunner {
  /// The pairs of a leaked credential, opened before its lease is taken from anybody. Throws `vetoed` if the reason
  /// would bring one of its secrets into the log.
  func open(_ name: String, for revocation: Revocation) async throws -> [UInt64: Pair] {
    let opened = try await vault.livingPairs(of: name, purpose: RotationRun.purpose, now: timing.now())
    // Law 6: a reason is the one text by a person that the log takes as it is.
    guard !opened.values.contains(where: { $0.isTold(in: revocation.reason) }) else {
      throw RotationError(.vetoed, "\(name): the reason holds one of its secrets, which would be in the log")
    }
    return opened
  }

  /// Notes `leaks`, by credential, in one step before the first of them is ended: whatever becomes of this process then,
  /// any later run knows of them all. Returns the names of those that it noted.
  ///
  /// Leaves out, for their own runs to note or to report: what a living run holds, because a run under way must be
  /// overtaken by one that ends the leak; what the member may not open; and what is damaged.
  package func note(_ leaks: [String: Revocation]) async throws -> Set<String> {
    let (now, member, isGone) = (timing.now(), vault.member, isGone)
    let noted = try await vault.change(now: now) { change in
      // Everything is looked up before anything is written: what this transaction has written cannot be read in it.
      let taken = try leaks.sorted { $0.key < $1.key }.compactMap {
        name, revocation -> (credential: Credential, revocation: Revocation)? in
        do {
          let credential = try change.view.credential(name)
          try change.view.requireKey(of: credential, for: member)
          let holder = try change.leases.leaseHolder(of: Self.leaseName(of: credential))?.holder
          guard !credential.isTransferred, holder.map({ isGone(Self.process(holding: $0).words) }) ?? true else {
            return nil
          }
          return (credential, revocation)
        } catch is VaultError { return nil } catch is AuditError { return nil }
      }
      let names = Set(taken.map(\.credential.name))
      let administrations = taken.map { credential, _ in
        LeakedAdministration(of: credential, besides: names, in: change.view)
      }
      return try zip(taken, administrations).map { taken, administration in
        try taken.revocation.note(in: change, taken.credential, under: administration, overtook: nil, now: now)
      }
    }
    for credential in noted {
      progress(
        RotationProgress(
          credential: credential.name, rotation: credential.rotation, time: now,
          event: EventName.credentialLeaked.text, version: credential.leak?.version))
    }
    return Set(noted.map(\.name))
  }

  /// The active version of the credential `name` if its leak, which was noted ahead, is over, and nothing else is left to
  /// do for it here: everything is delivered, or a living run sees to it.
  func settled(_ name: String) async throws -> UInt64? {
    let isGone = isGone
    return try await vault.read { view in
      let credential = try view.credential(name)
      guard credential.leak == nil, credential.reach == nil, let active = credential.version(in: .active)?.number else {
        return nil
      }
      let holder = try view.leaseHolder(of: Self.leaseName(of: credential))?.holder
      let isHeld = holder.map { !isGone(Self.process(holding: $0).words) } ?? false
      return isHeld || credential.undelivered.isEmpty ? active : nil
    }
  }

  /// How urgent a run is; each overtakes those below it.
  package enum Urgency: Int, Comparable, Sendable {
    case routine
    /// A revocation.
    case leak
    /// A revocation that accepts an outage.
    case containment

    /// The suffix of the words that a lease's holder is recorded with.
    fileprivate var mark: String {
      switch self {
      case .routine: ""
      case .leak: " revoking"
      case .containment: " containing"
      }
    }

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  }

  /// The words with which `process` holds a lease; those of a revocation say so.
  static func holder(_ process: String, for goal: Goal) -> String { process + goal.urgency.mark }

  /// Who holds a lease, from the words it was taken with: the process, and how urgent its run is.
  package static func process(holding words: String) -> (words: String, urgency: Urgency) {
    for urgency in [Urgency.leak, .containment] where words.hasSuffix(urgency.mark) {
      return (String(words.dropLast(urgency.mark.count)), urgency)
    }
    return (words, .routine)
  }

  /// Who holds a lease, for a person: the process and its machine.
  package static func briefly(_ words: String) -> String {
    let words = process(holding: words).words
    return String(words.prefix { $0 != "(" }.reversed().drop { $0 == " " }.reversed())
  }

  /// Whether a run for `goal` may take a lease from its living holder: only from a less urgent one.
  static func overtakes(_ goal: Goal, _ words: String) -> Bool { goal.urgency > process(holding: words).urgency }
}

extension RotationRunner.Goal {
  var urgency: RotationRunner.Urgency {
    guard case .revoke(let revocation) = self else { return .routine }
    return revocation.isContainment ? .containment : .leak
  }
}
