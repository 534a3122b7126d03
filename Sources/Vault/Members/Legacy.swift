package import Audit
package import JSON

/// Something that an owner set up and that their removal does not take back.
package enum Legacy: Hashable, Sendable {
  case member(String, LogMember.Role)
  case grant(credential: String, to: String)
  case added(credential: String, provider: String)
  /// Each setting that they changed last, with what it was before; null for one that was not there.
  case settings(credential: String, before: [String: JSONValue], after: [String: JSONValue])
  case administrator(credential: String, before: String, after: String)
  case policy(credential: String)
  /// It gets nothing any more (`VaultView.requireOwners`).
  case witness(String)
  /// It gets nothing any more, either. `word` is that of its kind.
  case delivery(word: String, String, credential: String)
  /// `recipient` is their name, or their key if they have none.
  case transfer(credential: String, recipient: String)
}

extension VaultView {
  /// What `owner`, who may have been removed, has set up since they became one, and nobody else has taken back or changed
  /// since, in order. The time this takes grows with the log.
  package func legacy(of owner: Member) throws -> [Legacy] {
    var trail = LegacyTrail(owner: owner.name, since: owner.entry)
    try replay { entry, index in trail.apply(entry, at: index) }
    return trail.legacy
  }
}

/// Replays what is in force, and whose it is.
private struct LegacyTrail {
  private enum Place: Hashable {
    case member(String)
    case grant(credential: String, to: String)
    case credential(String)
    case setting(String, credential: String)
    case administrator(credential: String)
    case policy(credential: String)
    case witness(String)
    case delivery(String, credential: String)
    case transfer(credential: String)

    /// The credential that it ends with.
    var credential: String? {
      switch self {
      case .grant(let credential, _), .credential(let credential), .setting(_, let credential),
        .administrator(let credential), .policy(let credential), .delivery(_, let credential),
        .transfer(let credential):
        credential
      case .member, .witness: nil
      }
    }
  }

  private struct Mark {
    let index: UInt64
    let what: Legacy
  }

  private let owner: String
  private let since: UInt64
  private var marks: [Place: Mark] = [:]

  init(owner: String, since: UInt64) { (self.owner, self.since) = (owner, since) }

  /// Settings of one credential are put together where the first of them is.
  var legacy: [Legacy] {
    var found: [Mark] = []
    var settings: [String: (index: UInt64, before: [String: JSONValue], after: [String: JSONValue])] = [:]
    for mark in marks.values {
      guard case .settings(let credential, let before, let after) = mark.what else {
        found.append(mark)
        continue
      }
      var all = settings[credential] ?? (mark.index, [:], [:])
      all.index = min(all.index, mark.index)
      all.before.merge(before) { $1 }
      all.after.merge(after) { $1 }
      settings[credential] = all
    }
    for (name, all) in settings {
      found.append(Mark(index: all.index, what: .settings(credential: name, before: all.before, after: all.after)))
    }
    return found.sorted { ($0.index, $0.what.order) < ($1.index, $1.what.order) }.map(\.what)
  }

  mutating func apply(_ entry: LogEntry, at index: UInt64) {
    func text(_ name: String) -> String? { if case .string(let text)? = entry.details[name] { text } else { nil } }
    let isTheirs = entry.member == owner && index > since
    func note(_ place: Place, _ what: Legacy) { marks[place] = isTheirs ? Mark(index: index, what: what) : nil }
    let credential = text("credential") ?? ""
    switch EventName(entry.event) {
    case .memberAdded:
      guard case .added(let card)? = try? Membership.Change(entry) else { return }
      note(.member(card.name), .member(card.name, card.role))
    case .memberRemoved:
      guard let removed = text("removed") else { return }
      marks = marks.filter { place, _ in
        if case .grant(_, removed) = place { return false }
        return place != .member(removed)
      }
    case .grantAdded:
      guard let grantee = text("grantee") else { return }
      note(.grant(credential: credential, to: grantee), .grant(credential: credential, to: grantee))
    case .grantRemoved:
      if let grantee = text("grantee") { marks[.grant(credential: credential, to: grantee)] = nil }
    case .credentialAdded:
      note(.credential(credential), .added(credential: credential, provider: text("provider") ?? ""))
    case .credentialRemoved: marks = marks.filter { place, _ in place.credential != credential }
    case .credentialPolicy: note(.policy(credential: credential), .policy(credential: credential))
    case .credentialRekeyed: noteTerms(entry, of: credential, at: index, isTheirs)
    case .witnessAdded:
      guard case .witnessAdded(let witness)? = try? Membership.Change(entry) else { return }
      note(.witness(witness.name), .witness(witness.name))
    case .witnessRemoved: if let name = text("witness") { marks[.witness(name)] = nil }
    case .deliveryAdded:
      guard let json = entry.details["delivery"], var members = try? JSONMembers(of: json, "a delivery"),
        let settings = try? DeliverySettings(&members)
      else { return }
      note(
        .delivery(settings.name, credential: credential),
        .delivery(word: settings.word, settings.name, credential: credential))
    case .deliveryRemoved: if let name = text("delivery") { marks[.delivery(name, credential: credential)] = nil }
    case .handoffSent where entry.details["transfer"] == .bool(true):
      note(
        .transfer(credential: credential),
        .transfer(credential: credential, recipient: text("recipient_name") ?? text("recipient") ?? ""))
    case .handoffWithdrawn: marks[.transfer(credential: credential)] = nil
    default: return
    }
  }

  /// A setting is theirs as long as nobody else has changed it since; what it was is what it was before their first
  /// change.
  private mutating func noteTerms(_ entry: LogEntry, of credential: String, at index: UInt64, _ isTheirs: Bool) {
    guard case .object(let before)? = entry.details["before"] else { return }
    if case .string(let former)? = before["admin"], let admin = entry.text("admin") {
      let place = Place.administrator(credential: credential)
      var first = former
      if case .administrator(_, let earlier, _)? = marks[place]?.what { first = earlier }
      let what = Legacy.administrator(credential: credential, before: first, after: admin)
      marks[place] = isTheirs && first != admin ? Mark(index: index, what: what) : nil
    }
    guard case .object(let old)? = before["settings"], case .object(let new)? = entry.details["settings"] else {
      return
    }
    for (key, value) in new {
      let place = Place.setting(key, credential: credential)
      var first = old[key] ?? .null
      if case .settings(_, let earlier, _)? = marks[place]?.what { first = earlier[key] ?? first }
      let what = Legacy.settings(credential: credential, before: [key: first], after: [key: value])
      marks[place] = isTheirs && first != value ? Mark(index: index, what: what) : nil
    }
  }
}

extension Legacy {
  /// What of one entry comes first.
  fileprivate var order: Int { if case .settings = self { 0 } else { 1 } }
}
