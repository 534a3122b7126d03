import JSON
package import Sodium

/// Who is a member when, and which vault key is in use, replayed from nothing but the log. Entries of other events
/// change nothing here.
package struct Membership: Hashable, Sendable {
  /// A member, and the entry that made them one.
  package struct Standing: Hashable, Sendable {
    package let card: LogMember
    package let entry: UInt64

    package init(card: LogMember, entry: UInt64) {
      self.card = card
      self.entry = entry
    }
  }

  /// An event that only owners may write: it introduces or removes a member, renews a key, or says what a credential is
  /// and where it goes. The log cannot be verified without knowing these.
  package enum Change: Hashable, Sendable {
    /// `vault.created`: the first entry, by the owner it introduces.
    case created(vault: String, owner: LogMember)
    /// `member.added`.
    case added(LogMember)
    /// `member.removed`.
    case removed(String)
    /// `vault.rekeyed`: the ID of the vault key from now on, and whether every credential gets another key after it.
    case rekeyed(key: String, credentials: Bool)
    /// `credential.added`, `credential.rekeyed`, `credential.removed`, `delivery.removed`, `handoff.withdrawn`, and
    /// `handoff.sent` of a transfer: see `CredentialBounds`.
    case bound(CredentialBounds.Change)
    /// `witness.added`: from now on checkpoints go there too.
    case witnessAdded(Witness)
    /// `witness.removed`.
    case witnessRemoved(String)
    /// `vault.restored`.
    case restored
    /// Another event of owners, which changes nothing here.
    case other

    /// The names of these events. A `handoff.sent` that is no transfer is not such an event, although its name is here.
    private static let events: [StaticString] = [
      "vault.created", "member.added", "member.removed", "vault.rekeyed", "credential.added", "credential.rekeyed",
      "credential.removed", "delivery.added", "delivery.removed", "grant.added", "grant.removed", "vault.restored",
      "handoff.withdrawn", "handoff.sent", "witness.added", "witness.removed",
    ]

    /// The first letters of these names, a bit each: most entries of a log are of other events, whose names begin
    /// differently.
    private static let initials: UInt32 = events.reduce(0) { $0 | initial($1.utf8Start[0]) }

    private static func initial(_ byte: UInt8) -> UInt32 { 1 << UInt32(byte & 31) }

    /// Whether the bytes at `range` are the name of such an event.
    static func isNamed(_ bytes: borrowing Span<UInt8>, at range: Range<Int>) -> Bool {
      guard !range.isEmpty, initials & initial(bytes[range.lowerBound]) != 0 else { return false }
      for event in events where bytes.equals(event, at: range) { return true }
      return false
    }

    /// What `entry` changes; nil for every other event. Throws `notCanonical` if the event's own members are invalid.
    package init?(_ entry: LogEntry) throws(AuditError) {
      switch entry.event {
      case "vault.created":
        guard let vault = entry.text("vault"), Self.isVault(vault), let card = entry.details["owner"]
        else { throw AuditError(.notCanonical, "vault.created: expected \"vault\" in hexadecimal and \"owner\"") }
        self = .created(vault: vault, owner: try LogMember(card))
      case "member.added":
        guard let card = entry.details["added"] else {
          throw AuditError(.notCanonical, "member.added: expected a card in \"added\"")
        }
        self = .added(try LogMember(card))
      case "member.removed":
        self = .removed(try entry.name("removed"))
      case "vault.rekeyed":
        guard let key = entry.text("key"), Self.isVault(key) else {
          throw AuditError(.notCanonical, "vault.rekeyed: expected \"key\" in hexadecimal")
        }
        self = .rekeyed(key: key, credentials: entry.details["credentials"] == .bool(true))
      case "handoff.sent" where entry.details["transfer"] != .bool(true): return nil
      case "credential.added", "credential.rekeyed", "credential.removed", "delivery.removed", "handoff.withdrawn",
        "handoff.sent":
        self = .bound(try CredentialBounds.Change(entry))
      case "witness.added":
        guard let witness = entry.details["witness"] else {
          throw AuditError(.notCanonical, "witness.added: expected a witness in \"witness\"")
        }
        self = .witnessAdded(try Witness(witness))
      case "witness.removed":
        self = .witnessRemoved(try entry.name("witness"))
      case "delivery.added":
        _ = try entry.name("credential")
        self = .other
      case "grant.added", "grant.removed":
        _ = (try entry.name("credential"), try entry.name("grantee"))
        self = .other
      case "vault.restored": self = .restored
      default: return nil
      }
    }

    /// An even number of lower-case hexadecimal digits, from 16 to 64.
    private static func isVault(_ text: String) -> Bool {
      (16...64).contains(text.utf8.count) && text.utf8.count % 2 == 0
        && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }
  }

  /// The vault's identifier, in hexadecimal.
  package let vault: String
  /// The ID of the vault key in use; nil if the log names none.
  package private(set) var keyID: String?
  /// The key of the owner who created the vault, even if no longer a member; nil if what was remembered does not say.
  package private(set) var founder: VerifyingKey?
  /// The index of the newest `vault.restored`; nil if there is none, or if what was remembered does not say.
  package private(set) var restored: UInt64?
  /// From which log entry on the records about each credential count.
  package private(set) var bounds = CredentialBounds()
  private var byName: [String: Standing]
  private var witnessesByName: [String: StandingWitness] = [:]

  /// A witness, and the entry that added it.
  package struct StandingWitness: Hashable, Sendable {
    package let witness: Witness
    package let entry: UInt64

    package init(witness: Witness, entry: UInt64) {
      self.witness = witness
      self.entry = entry
    }
  }

  /// Begins with the log's first entry, which must be `vault.created` by the owner it introduces.
  package init(genesis entry: LogEntry) throws(AuditError) {
    guard case .created(let vault, let owner)? = try Change(entry) else {
      throw AuditError(.notCanonical, "found \(entry.event), expected vault.created")
    }
    guard owner.name == entry.member, owner.role == .owner else {
      throw AuditError(
        .notPermitted, "vault.created by \"\(entry.member)\" introduces \"\(owner.name)\" as \(owner.role)")
    }
    self.vault = vault
    keyID = entry.text("key")
    founder = owner.signing
    byName = [owner.name: Standing(card: owner, entry: 0)]
  }

  /// The membership at one point of the log, as it was replayed before. `founder` is for when no standing is that of
  /// entry 0.
  package init(
    vault: String, keyID: String?, standings: [Standing], bounds: CredentialBounds = CredentialBounds(),
    witnesses: [StandingWitness] = [], founder: VerifyingKey? = nil, restored: UInt64? = nil
  ) {
    self.restored = restored
    self.founder = standings.first { $0.entry == 0 }?.card.signing ?? founder
    self.bounds = bounds
    self.vault = vault
    self.keyID = keyID
    byName = [:]
    // One by one: the generic initializer of a dictionary would cost every start a search through all conformances.
    for witness in witnesses where witnessesByName[witness.witness.name] == nil {
      witnessesByName[witness.witness.name] = witness
    }
    for standing in standings where byName[standing.card.name] == nil { byName[standing.card.name] = standing }
  }

  /// Notes who created the vault, if that is not known, from the log's first entry. Throws if `entry` cannot be that.
  package mutating func noteFounder(_ entry: LogEntry) throws(AuditError) {
    if founder == nil { founder = try Membership(genesis: entry).founder }
  }

  /// Whether the founder is no longer a member, so that no standing has their key.
  package var lacksFounder: Bool { !byName.values.contains { $0.entry == 0 } }

  /// What checkpoints of this log call it.
  package var origin: String { "relatch/" + vault }

  /// The members, by name.
  package var members: [LogMember] { standings.map(\.card) }

  /// The members with the entries that made them so, by name.
  package var standings: [Standing] {
    byName.values.sorted { $0.card.name.utf8.lexicographicallyPrecedes($1.card.name.utf8) }
  }

  /// The witnesses that get checkpoints, by name, with the entries that added them.
  package var witnesses: [StandingWitness] {
    witnessesByName.values.sorted { $0.witness.name.utf8.lexicographicallyPrecedes($1.witness.name.utf8) }
  }

  /// The member of this name; throws `unknownSigner` if there is none now.
  package func member(_ name: String) throws(AuditError) -> LogMember {
    guard let member = byName[name] else { throw AuditError(.unknownSigner, "\"\(name)\" is not a member") }
    return member.card
  }

  /// Applies the entry at `index`, which is not the first. Throws if its actor is not a member, or may not do what it
  /// says.
  package mutating func apply(_ entry: LogEntry, at index: UInt64) throws(AuditError) {
    let actor = try member(entry.member)
    guard let change = try Change(entry) else { return }
    guard actor.role == .owner else {
      throw AuditError(.notPermitted, "\(entry.event) by \"\(actor.name)\", who is \(actor.role), expected an owner")
    }
    switch change {
    case .created:
      throw AuditError(.notPermitted, "vault.created, which only the first entry can be")
    case .added(let card):
      guard byName[card.name] == nil else {
        throw AuditError(.notPermitted, "member.added for \"\(card.name)\", who is a member already")
      }
      byName[card.name] = Standing(card: card, entry: index)
    case .removed(let name):
      _ = try member(name)
      // This way the newest checkpoint is always by a current member, and one owner always remains.
      guard name != actor.name else {
        throw AuditError(.notPermitted, "member.removed by \"\(name)\" for the same member")
      }
      byName[name] = nil
    case .rekeyed(let key, let credentials):
      keyID = key
      if credentials { bounds.renewAll(at: index) }
    case .bound(let change): bounds.apply(change, at: index)
    // A part of a log can have one of these without the other.
    case .witnessAdded(let witness):
      witnessesByName[witness.name] = StandingWitness(witness: witness, entry: index)
    case .witnessRemoved(let name): witnessesByName[name] = nil
    case .restored: restored = index
    case .other: break
    }
  }
}
