package import Audit
import JSON
import Sodium
import Storage

extension VaultView {
  /// The witnesses that owners have added, by name.
  package var witnesses: [Membership.StandingWitness] { known.membership.witnesses }

  /// Whether `witness` was last handed a checkpoint of this vault, `seen`, before its newest restore; or none at all, and
  /// was added before that. False if it was not restored. A backup may only be tried beside the vault that it is of: a witness that has seen what was
  /// logged in the copy refuses that vault for good.
  package func isRestored(since seen: Checkpoint?, by witness: Membership.StandingWitness) -> Bool {
    known.membership.restored.map { max(seen?.size ?? 0, witness.entry) <= $0 } ?? false
  }

  /// The newest checkpoint, with only the signature of the member who made the last entry, and the proof that its log
  /// extends the first `size` entries (an empty one for 0, RFC 6962 §2.1.2). Throws `rolledBack` if the log has fewer,
  /// and `corrupt` if the checkpoint has lines other than ours: the member who signed it chose what they say, and
  /// others would read them from a file of theirs.
  package func handover(after size: UInt64, to name: String) throws -> (SignedCheckpoint, ConsistencyProof) {
    let newest = known.end.checkpoint
    guard newest.checkpoint.extensions.isEmpty else {
      throw VaultError(
        .corrupt,
        "the newest checkpoint, of \(newest.checkpoint.size) entries by \(known.end.last.member), has lines that relatch never"
          + " writes, and is given to no witness")
    }
    guard let key = verifyingKey(of: known.end.last.member) else {
      throw VaultError(.corrupt, "the key of \(known.end.last.member), who signed the newest checkpoint, is not known")
    }
    guard size <= newest.checkpoint.size else { throw VaultError(.rolledBack, cutOff(size, seenBy: name)) }
    // Anyone who can write the vault can add other signatures, which this member's does not cover.
    return (
      try newest.only(by: key),
      try AuditLog.consistencyProof(from: size, to: newest.checkpoint.size, in: transaction)
    )
  }

  private func cutOff(_ size: UInt64, seenBy name: String) -> String {
    "witness \(name) has seen \(size) entries, but the log has \(known.end.size): it was cut off"
  }

  /// Fails with `rolledBack` unless the log extends `seen`, which witness `name` took. Reads O(log n) rows.
  package func requireExtension(of seen: Checkpoint, takenBy name: String) throws {
    let newest = known.end.checkpoint.checkpoint
    try Self.requireExtension(of: seen, newest: newest, in: transaction) { departure in
      switch departure {
      case .origin: "witness \(name) has a checkpoint of \(seen.origin), expected \(newest.origin)"
      case .end: cutOff(seen.size, seenBy: name)
      case .history:
        "witness \(name) has seen another history: the first \(seen.size) of the log's \(newest.size) entries are not"
          + " those that it took"
      }
    }
  }

  /// The same for what was found in the file or folder that is witness `name`, where others may have put it: only a
  /// present or former member can say that the log was another. Throws `corrupt` for what none of them signed.
  package func requireExtension(ofPlaced found: SignedCheckpoint, at name: String) throws {
    do { try requireExtension(of: found.checkpoint, takenBy: name) } catch let error as VaultError
      where error.code == .rolledBack
    {
      guard try isSignedByMember(found) else {
        throw VaultError(
          .corrupt,
          "the checkpoint of \(found.checkpoint.size) entries that is there is not of this log, and nobody who signed it"
            + " is or was a member")
      }
      throw error
    }
  }

  /// Goes through the log if no present member signed it.
  private func isSignedByMember(_ signed: SignedCheckpoint) throws -> Bool {
    func isSigned(by key: VerifyingKey) -> Bool { (try? signed.verify(by: key)) != nil }
    if members.contains(where: { isSigned(by: $0.card.signing) }) { return true }
    var wasSigned = false
    try replay { entry, _ in
      switch try Membership.Change(entry) {
      case .created(_, let card), .added(let card): wasSigned = wasSigned || isSigned(by: card.signing)
      default: break
      }
    }
    return wasSigned
  }

  /// Fails with `notPermitted` unless a present owner added `witness`: whoever is no longer an owner must not go on
  /// deciding which program is run, and where something is written or sent.
  package func requireOwners(_ witness: Membership.StandingWitness) throws {
    let (name, entry) = (witness.witness.name, try authenticatedEntry(at: witness.entry))
    guard members.contains(where: { $0.name == entry.member && $0.card.role == .owner && $0.entry <= witness.entry })
    else {
      throw VaultError(
        .notPermitted, "the witness \(name) was added by \(entry.member), who is no longer an owner: it gets nothing",
        hint: "ask an owner to check it and take it over: `relatch log witness remove \(name)`, then add it again")
    }
  }

  /// What is wrong with who added `witness`; nil if nothing is.
  private func ownersTrouble(with witness: Membership.StandingWitness) throws -> VaultError? {
    do {
      try requireOwners(witness)
      return nil
    } catch let error as VaultError where error.code == .notPermitted { return error }
  }

  /// What each witness has seen of the log, according to `records`, which were read before this view of the vault was
  /// opened. A record that cannot be read, is damaged, or is of another history is reported as `trouble`, and so is a
  /// witness that no present owner added.
  package func standings(of records: WitnessRecords.Found) throws -> [WitnessStanding] {
    try witnesses.map { witness in
      let seen: SignedCheckpoint?
      do { seen = try records.checkpoint(of: witness) } catch let error as VaultError {
        return try standing(of: witness, nil, trouble: error)
      }
      guard let seen else { return try standing(of: witness, nil, trouble: ownersTrouble(with: witness)) }
      do {
        try requireExtension(of: seen.checkpoint, takenBy: witness.witness.name)
        return try standing(of: witness, seen, trouble: ownersTrouble(with: witness))
      } catch let error as VaultError where error.code == .rolledBack || error.code == .corrupt {
        return try standing(of: witness, nil, trouble: error)
      }
    }
  }

  private func standing(
    of witness: Membership.StandingWitness, _ seen: SignedCheckpoint?, trouble: VaultError? = nil
  ) throws -> WitnessStanding {
    let (size, first) = (known.end.size, seen?.checkpoint.size ?? 0)
    return WitnessStanding(
      witness: witness, seen: seen, unseen: size - first,
      since: first < size ? try authenticatedEntry(at: first).time : nil,
      cosigned: try witness.witness.key.flatMap { key in try seen?.cosignature(by: key)?.moment }, trouble: trouble)
  }
}

/// What a witness has seen of the log, as far as is known here.
package struct WitnessStanding: Sendable {
  package let witness: Membership.StandingWitness
  /// The newest checkpoint that it took; nil if none is known.
  package let seen: SignedCheckpoint?
  /// How many entries came after that.
  package let unseen: UInt64
  /// When the first of them came; nil if there is none.
  package let since: Timestamp?
  /// When the witness signed, by its clock; nil if it does not sign.
  package let cosigned: Timestamp?
  /// What is wrong with the record of what it has seen, or with who added it.
  package let trouble: VaultError?

  /// Whether that speaks against the log. A record that cannot be read says nothing, like one that is missing, nor does
  /// who added the witness.
  package var isContradiction: Bool { trouble.map { [.rolledBack, .corrupt].contains($0.code) } ?? false }
}

extension LockedVault {
  /// What `records` have of each witness, for a view of the vault that is opened after this.
  package func found(in records: WitnessRecords) async throws -> WitnessRecords.Found {
    try records.found(of: await read { $0.witnesses })
  }
}

extension [WitnessStanding] {
  /// How many entries none of them has seen, and since when; nil if there is no witness.
  package var gap: (entries: UInt64, since: Timestamp?)? {
    self.min { $0.unseen < $1.unseen }.map { ($0.unseen, $0.since) }
  }
}

extension UnlockedVault {
  /// The greatest number of witnesses: what is remembered of the log includes all of them.
  package static let maximumWitnesses = 16

  /// Adds `witness`, to which checkpoints then go. Throws `notPermitted` unless the member is an owner,
  /// `alreadyExists`, `invalidInput`.
  package func addWitness(_ witness: Witness, now: Timestamp) async throws {
    try await change(now: now) { change in
      guard !change.view.witnesses.contains(where: { $0.witness.name == witness.name }) else {
        throw VaultError(
          .alreadyExists, "the vault has a witness \(witness.name) already",
          hint: "give this one another name; `relatch log witness list` shows those there are")
      }
      guard change.view.witnesses.count < Self.maximumWitnesses else {
        throw VaultError(.invalidInput, "the vault has \(Self.maximumWitnesses) witnesses, and can have no more")
      }
      try change.log(.witnessAdded, ["witness": witness.json])
    }
  }

  /// Removes the witness `name`, to which no more checkpoints go, and returns it. Throws `notPermitted`, `notFound`.
  package func removeWitness(_ name: String, now: Timestamp) async throws -> Membership.StandingWitness {
    try await change(now: now) { change in
      guard let witness = change.view.witnesses.first(where: { $0.witness.name == name }) else {
        throw VaultError(
          .notFound, "the vault has no witness \(Name.printable(name))",
          hint: "`relatch log witness list` shows those there are")
      }
      try change.log(.witnessRemoved, ["witness": .string(name)])
      return witness
    }
  }
}
