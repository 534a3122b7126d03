import Audit
import JSON
import Rotation
import Vault

/// The report of one incident. What happened is read from the log.
struct IncidentReport: Sendable {
  /// What is left to be done about one credential.
  struct Owed: Sendable {
    let versions: [UInt64]
    /// When a schedule tries again; nil if at its next run, or never.
    let next: Timestamp?
    /// When the provider itself ends the pair, if it said so.
    let expires: Timestamp?
    let isRemoved: Bool
    /// By what the active pair can be read, though everything that leaked was seen to be refused; nil otherwise.
    var reach: Reach?
  }

  struct Part: Sendable {
    let history: IncidentHistory.Part
    /// Who could have a leaked pair before it was refused, by name.
    let openTo: [Holder]
    /// Nil if every version that leaked was seen to be refused, and nobody can read what replaced it.
    let owed: Owed?
  }

  /// Somebody who could have a leaked pair.
  struct Holder: Sendable {
    let name: String
    /// When their access ended; nil if it has not, or they were sent the pair.
    let until: Timestamp?
    /// The administrator whose pair they could read it with; nil if they needed none.
    let through: String?
  }

  /// The proof that an entry is in the log, for others to check.
  struct Proof: Sendable {
    let index: UInt64
    let text: String
    let proof: String
  }

  let name: String
  let vault: String
  let written: Timestamp
  let parts: [Part]
  /// Of the moments that matter most.
  let proofs: [Proof]
  /// The signed checkpoint, its signer and the key to check it with.
  let checkpoint: (note: String, member: String, key: String)
  /// The founding owner's key, which whoever verifies the log must know from elsewhere.
  let owner: String

  /// The credentials whose entries this report was made of: those that leaked, and the administrators through which
  /// somebody could have them.
  var sources: [String] {
    Set(parts.flatMap { part in [part.history.credential] + part.openTo.compactMap(\.through) }).sorted()
  }

  var isOwed: Bool { parts.contains { $0.owed != nil } }
  /// Whether the provider accepts a leaked pair again that it was seen to refuse.
  var isBack: Bool { parts.contains { !$0.history.acceptedAgain.isEmpty } }
  /// The versions that were given up at a former place.
  var leftElsewhere: [UInt64] { parts.flatMap(\.history.leftElsewhere) }
  var reported: Timestamp { parts.compactMap { $0.history.reported?.entry.time }.min() ?? written }

  /// When the last leaked pair was seen to be refused; nil while one was not.
  var ended: Timestamp? {
    let ends = parts.map { $0.history.ended?.entry.time }
    return ends.contains { $0 == nil } ? nil : ends.compactMap(\.self).max()
  }

  /// Whether every leaked pair had been seen to be refused before anybody reported the leak: there was nothing to
  /// replace.
  var wasRefusedBefore: Bool { parts.allSatisfy(\.history.wasRefusedBefore) }

  init(of name: String, _ histories: [IncidentHistory.Part], in view: VaultView, now: Timestamp) throws {
    self.name = name
    vault = view.header.origin
    written = now
    let holders = try LeakHolders(in: view)
    parts = try zip(histories, view.reaches(of: histories)).map { history, reach in
      Part(history: history, openTo: holders.of(history), owed: try Self.owed(of: history, reach, in: view, now: now))
    }
    let newest = try view.newestCheckpoint
    checkpoint = (String(decoding: newest.signed.bytes, as: UTF8.self), newest.member, newest.key.description)
    owner = try view.founderKey.description
    let indexes = histories.flatMap { history in
      [history.reported, history.first("rotation.promoted")].compactMap(\.self).map(\.index)
        + history.refused.values.map(\.index)
    }
    proofs = try Set(indexes).sorted().map { index in
      let proved = try view.proof(ofEntry: index)
      return Proof(
        index: index, text: String(decoding: proved.entry.bytes, as: UTF8.self),
        proof: String(decoding: proved.proof.bytes, as: UTF8.self))
    }
  }

  private static func owed(
    of history: IncidentHistory.Part, _ reach: Reach?, in view: VaultView, now: Timestamp
  ) throws -> Owed? {
    guard !history.owed.isEmpty else {
      return reach.map {
        Owed(versions: [], next: nil, expires: nil, isRemoved: false, reach: $0)
      }
    }
    guard !history.isRemoved, try view.hasCredential(history.credential) else {
      return Owed(versions: history.owed, next: nil, expires: nil, isRemoved: true)
    }
    let credential = try view.credential(history.credential)
    return Owed(
      versions: history.owed, next: try OwedLeak(of: credential, in: view, now: now)?.next,
      expires: credential.leakedDebts.compactMap(\.expires).max(), isRemoved: false)
  }
}

extension VaultView {
  /// For each of `parts` the reach that was noted while its leak was ended, and that still matters; nil for those that
  /// have none. Of several that are about one credential, the last has it.
  func reaches(of parts: [IncidentHistory.Part]) throws -> [Reach?] {
    let last = Dictionary(parts.enumerated().map { ($1.credential, $0) }) { $1 }
    return try parts.enumerated().map { index, part in
      guard last[part.credential] == index, !part.isRemoved, try hasCredential(part.credential),
        let reach = try credential(part.credential).reach, reach.incident == part.incident
      else { return nil }
      return reach
    }
  }
}

extension IncidentReport.Owed {
  func text(at now: Timestamp) -> String {
    if let reach { return "another pair, because \(reach.words)" }
    let numbers = versions.map(String.init).joined(separator: ", ")
    if isRemoved { return "version \(numbers): the credential was removed before it was seen to be refused" }
    var line = "version \(numbers) has not been seen to be refused"
    if let next { line += OwedLeak.text(next: next, at: now) }
    if let expires { line += OwedLeak.text(expires: expires, at: now) }
    return line
  }
}

extension IncidentHistory.Use {
  var text: String {
    // The author of the entry chose this name.
    let who = Diagnostics.printable(who)
    let times = "\(count.times)\(last.map { ", last at \($0.entry.time) (entry \($0.index))" } ?? "")"
    return switch kind {
    case .read: "\(who) read it \(times)"
    case .used: "runs of \(who) opened it \(times)"
    case .delivered: "it was delivered to \(who) \(times)"
    }
  }
}

extension IncidentHistory.Moment {
  /// What happened, in words.
  var text: String {
    let number = entry.version.map(String.init) ?? "?"
    func detail(_ key: String) -> String? {
      if case .string(let text)? = entry.details[key] { Diagnostics.printable(text) } else { nil }
    }
    let because = detail("detail").map { ": \($0)" } ?? detail("reason").map { ": \($0)" } ?? ""
    switch entry.event {
    case "credential.leaked":
      if entry.says("reach", "ended") {
        return "versions up to \(number) count as leaked now, because they were \(detail("reason") ?? "")"
      }
      return "reported by \(entry.member): versions up to \(number) leaked: \(detail("reason") ?? "")"
        + (detail("overtook").map { "; a run that held it was overtaken (\(RotationRunner.briefly($0)))" } ?? "")
    case "leak.tried":
      let accepted =
        entry.details["accepted"] == .bool(true)
        ? "accepts it" : entry.details["accepted"] == .bool(false) ? "refuses it" : "does not say\(because)"
      return "version \(number) was found: the provider \(accepted)"
    case "pair.cut-off", "pair.not-cut-off":
      let maker = detail("made_by").map { " by \($0)" } ?? ""
      return "a \(detail("place") ?? "") pair that this vault does not have (\(detail("handle") ?? "?")), made"
        + "\(maker.isEmpty && detail("made") == nil ? " by an unknown maker" : maker)\(detail("made").map { " at \($0)" } ?? ""),"
        + " was found at the provider and "
        + (entry.event == "pair.cut-off"
          ? "deleted; whether it is refused was not tried"
          : "not deleted: the provider answered that there is none, and still lists it")
    case "token.revoked": return "the token kept for version \(number) is ended at the provider"
    case "token.not-revoked": return "the token kept for version \(number) is not ended\(because)"
    case "pair.read":
      return "\(entry.member) read version \(entry.versions.map(String.init).joined(separator: ", "))"
    case "credential.removed": return "removed by \(entry.member)"
    case "delivery.done": return "version \(number) arrived at \(detail("delivery") ?? "?")"
    case "delivery.failed": return "version \(number) did not arrive at \(detail("delivery") ?? "?")\(because)"
    case "rotation.begun": return "a rotation begins"
    case "rotation.staged": return "version \(number) is staged and saved"
    case "rotation.validated": return "version \(number) is proved: it was granted a token"
    case "rotation.promoted": return "version \(number) has replaced what leaked"
    case "rotation.verified": return "version \(number) is verified as primary"
    case "rotation.deleted": return "version \(number) is deleted at the provider"
    case "rotation.refused" where !entry.elsewhereVersions.isEmpty:
      let numbers = entry.elsewhereVersions.map(String.init).joined(separator: ", ")
      return "version \(numbers), made at a former place, is not known at this one; the new pair was accepted"
    case "rotation.refused": return "what leaked was seen to be refused, the new pair accepted"
    case "rotation.rejected" where detail("reason") == "not-found":
      return "version \(number) was gone at the provider: it will not be promoted"
    case "rotation.rejected": return "version \(number) was refused: it will not be promoted\(because)"
    case "rotation.abandoned":
      return entry.version == nil ? "the rotation is given up" : "version \(number) is given up"
    case "rotation.discarded" where detail("reason") == "owed":
      return "version \(number) is removed at the provider, and not seen to be refused yet"
    case "rotation.discarded": return "version \(number) is removed at the provider"
    case "rotation.stage.lost" where detail("reason") == "leaked":
      return "a pair was made by the run that was overtaken, or by someone who has the leaked one: it is not taken over"
    case "rotation.stage.postponed" where detail("reason") == "leaked": return "another new pair is asked for"
    case let event where event.hasSuffix(".lost"): return "an answer was lost (\(event.step))\(because)"
    case let event where event.hasSuffix(".postponed"): return "\(event.step) did not happen yet\(because)"
    default: return entry.event
    }
  }
}

extension IncidentHistory.Part {
  /// What a reader must not miss among the steps; nil if there is nothing of that kind.
  var warning: String? {
    var warnings: [String] = []
    if !leftElsewhere.isEmpty {
      let numbers = leftElsewhere.map(String.init).joined(separator: ", ")
      warnings.append(
        "version \(numbers) was left behind at a former place (`relatch log list`), and nobody saw that place refuse it"
      )
    }
    if !acceptedAgain.isEmpty {
      let numbers = acceptedAgain.map(String.init).joined(separator: ", ")
      warnings.append("the provider accepts version \(numbers) again, which it had refused: delete it there by hand")
    }
    if !cutOff.isEmpty {
      let entries = cutOff.map { String($0.index) }.joined(separator: ", ")
      warnings.append(
        "found at the provider and deleted: a pair that this vault did not have (entry \(entries)); find out who made it"
      )
    }
    for moment in notCutOff {
      let handle = moment.entry.handle.map(Diagnostics.printable) ?? "?"
      warnings.append(
        "found at the provider and not deleted: a pair that this vault did not have (\(handle), entry \(moment.index));"
          + " it may be accepted: delete it on the provider's page")
    }
    return warnings.isEmpty ? nil : warnings.joined(separator: "; ")
  }

  fileprivate var cutOff: [IncidentHistory.Moment] { moments.filter { $0.entry.event == "pair.cut-off" } }

  /// What was not deleted later either.
  fileprivate var notCutOff: [IncidentHistory.Moment] {
    moments.filter { moment in
      moment.entry.event == "pair.not-cut-off"
        && !cutOff.contains { $0.index > moment.index && $0.entry.handle == moment.entry.handle }
    }
  }
}

extension LogEntry {
  fileprivate var handle: String? { if case .string(let handle)? = details["handle"] { handle } else { nil } }
}

extension String {
  fileprivate var step: String { split(separator: ".").dropFirst().first.map(String.init) ?? self }
}

// MARK: - Text

extension IncidentReport {
  /// When every leaked pair was seen to be refused, in words.
  private var refused: String {
    if wasRefusedBefore { return "before it was reported" }
    guard isOwed || leftElsewhere.isEmpty else { return "not everything that leaked: some of it at a former place" }
    return ended.map { "\($0), after \(($0 - reported).seconds)" } ?? "not yet everything that leaked"
  }

  var text: String {
    var lines = [
      "incident  \(Diagnostics.printable(name))", "reported  \(reported)",
      "refused   \(refused)",
    ]
    for part in parts {
      let history = part.history
      let versions = history.leaked.map(String.init).joined(separator: ", ")
      lines += ["", "\(Diagnostics.printable(history.credential)): version \(versions) leaked"]
      if let warning = history.warning { lines.append("  \(warning)") }
      lines += history.moments.map { "  \($0.entry.time)  entry \($0.index) by \($0.entry.member)  \($0.text)" }
      lines.append("  open to \(part.openTo.map { Diagnostics.printable($0.text) }.joined(separator: ", "))")
      lines += history.uses.map { "  \($0.text)" }
      lines.append("  owed: \(part.owed?.text(at: written) ?? "nothing")")
    }
    lines += ["", "log       \(vault), checkpoint signed by \(checkpoint.member): \(checkpoint.key)"]
    lines.append("owner     \(owner)")
    lines.append(
      "proofs    of entries \(proofs.map { String($0.index) }.joined(separator: ", ")): --json or --html has them;"
        + " the whole log, or a bundle of \(Diagnostics.printable(sources.joined(separator: " "))), shows the rest")
    return lines.joined(separator: "\n")
  }
}

// MARK: - JSON

extension IncidentReport {
  var json: JSONValue {
    var members: [String: JSONValue] = [
      "checkpoint": .string(checkpoint.note), "credentials": .array(parts.map { $0.json }), "incident": .string(name),
      "key": .string(checkpoint.key), "member": .string(checkpoint.member), "origin": .string(vault),
      "owner": .string(owner),
      "proofs": .array(
        proofs.map {
          .object([
            "entry": .integer(Int(clamping: $0.index)), "proof": .string($0.proof), "text": .string($0.text),
          ])
        }), "reported": .string(reported.description), "type": "incident", "written": .string(written.description),
    ]
    if let ended, !wasRefusedBefore {
      members["refused"] = .string(ended.description)
      members["milliseconds"] = .integer(Int(clamping: ended.milliseconds - reported.milliseconds))
    }
    return .object(members)
  }
}

extension IncidentReport.Part {
  fileprivate var json: JSONValue {
    var members: [String: JSONValue] = [
      "credential": .string(history.credential), "leaked": .array(history.leaked.map { .integer(Int(clamping: $0)) }),
      "open_to": .array(openTo.map(\.json)), "owed": .array(history.owed.map { .integer(Int(clamping: $0)) }),
      "elsewhere": .array(history.leftElsewhere.map { .integer(Int(clamping: $0)) }),
      "standing": .string((owed?.reach == nil ? history.standing : .owed).rawValue),
      "timeline": .array(
        history.moments.map {
          .object([
            "entry": .integer(Int(clamping: $0.index)), "event": .string($0.entry.event),
            "member": .string($0.entry.member), "text": .string($0.text), "time": .string($0.entry.time.description),
          ])
        }),
      "uses": .array(
        history.uses.map { use in
          .object(
            [
              "count": .integer(use.count), "kind": .string(use.kind.rawValue),
              "versions": .array(use.versions.sorted().map { .integer(Int(clamping: $0)) }), "who": .string(use.who),
            ].merging(
              use.last.map {
                ["last": .string($0.entry.time.description), "last_entry": .integer(Int(clamping: $0.index))]
              } ?? [:]
            ) { $1 })
        }),
    ]
    if !history.acceptedAgain.isEmpty {
      members["accepted_again"] = .array(history.acceptedAgain.map { .integer(Int(clamping: $0)) })
    }
    if !history.cutOff.isEmpty {
      members["cut_off"] = .array(history.cutOff.map { .integer(Int(clamping: $0.index)) })
    }
    if !history.notCutOff.isEmpty {
      members["not_cut_off"] = .array(history.notCutOff.map { .integer(Int(clamping: $0.index)) })
    }
    if let reach = owed?.reach { members["reach"] = reach.json }
    if let next = owed?.next { members["next_attempt"] = .string(next.description) }
    if let expires = owed?.expires { members["expires"] = .string(expires.description) }
    for (key, event) in [("replaced", "rotation.promoted"), ("delivered", "delivery.done")] {
      if let moment = history.first(event) { members[key] = .string(moment.entry.time.description) }
    }
    if let ended = history.ended { members["refused"] = .string(ended.entry.time.description) }
    return .object(members)
  }
}
