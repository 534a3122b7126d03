import JSON

/// Who is a member when, replayed from the log alone. Entries of other events change nothing here.
package struct Membership: Sendable {
  /// An event that introduces or removes a member; the log cannot be verified without knowing these.
  package enum Change: Hashable, Sendable {
    /// `vault.created`: the first entry, by the owner it introduces.
    case created(vault: String, owner: LogMember)
    /// `member.added`.
    case added(LogMember)
    /// `member.removed`.
    case removed(String)

    /// The names of these events.
    static let events = ["vault.created", "member.added", "member.removed"].map { Array($0.utf8) }

    /// What `entry` changes; nil for every other event. Throws `notCanonical` if the event's own members are not as they
    /// must be.
    package init?(_ entry: LogEntry) throws(AuditError) {
      switch entry.event {
      case "vault.created":
        guard case .string(let vault)? = entry.details["vault"], Self.isVault(vault), let card = entry.details["owner"]
        else { throw AuditError(.notCanonical, "vault.created: expected \"vault\" in hexadecimal and \"owner\"") }
        self = .created(vault: vault, owner: try LogMember(card))
      case "member.added":
        guard let card = entry.details["added"] else {
          throw AuditError(.notCanonical, "member.added: expected a card in \"added\"")
        }
        self = .added(try LogMember(card))
      case "member.removed":
        guard case .string(let name)? = entry.details["removed"] else {
          throw AuditError(.notCanonical, "member.removed: expected a name in \"removed\"")
        }
        self = .removed(name)
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
  private var byName: [String: LogMember]

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
    byName = [owner.name: owner]
  }

  /// What checkpoints of this log call it.
  package var origin: String { "relatch/" + vault }

  /// The members, by name.
  package var members: [LogMember] { byName.values.sorted { $0.name < $1.name } }

  /// The member of this name; throws `unknownSigner` if there is none now.
  package func member(_ name: String) throws(AuditError) -> LogMember {
    guard let member = byName[name] else { throw AuditError(.unknownSigner, "\"\(name)\" is not a member") }
    return member
  }

  /// Folds one entry after the first. Throws if its actor is not a member, or may not do what it says.
  package mutating func apply(_ entry: LogEntry) throws(AuditError) {
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
      byName[card.name] = card
    case .removed(let name):
      _ = try member(name)
      // So the newest checkpoint is always by someone who is a member still, and one owner always remains.
      guard name != actor.name else {
        throw AuditError(.notPermitted, "member.removed by \"\(name)\" for the same member")
      }
      byName[name] = nil
    }
  }
}
