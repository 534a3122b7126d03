import ArgumentParser
import Audit
import JSON
import Vault

struct LogExposureCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exposure",
    abstract: "Show what a member read or could have opened, and what of it is not replaced yet.",
    discussion: """
      Everything is read from the log, without unlocking anything. It also works for a former member, and for \
      somebody who only received a pair by a handoff. Whoever could open an administrator could read, at the provider, \
      the pairs of what it administered, until the provider refused the administrator's pair: these are listed, too. \
      --plan prints, one a line, the names of exactly those credentials whose active pair the member could open or \
      read there.
      """)

  @OptionGroup var options: CommonOptions

  @Option(help: "A member, somebody who signed a receipt, or the age1… or ssh-ed25519 key that a pair was sent to.")
  var member: String

  @Option(
    help: ArgumentHelp(
      "Leave out what the member could open only before then (RFC 3339, a day, or 7d for 7 days ago).",
      valueName: "time"))
  var since: String?

  @Flag(help: "Print only the names of what is to be rotated.")
  var plan = false

  func run() async throws {
    let report = Report(options)
    let (member, moment) = (member, try since.map { try Timestamp.said($0, for: "--since", now: WallClock.now()) })
    let found = try await Places(options).look(at: "exposure", about: member) {
      try $0.exposures(to: member, since: moment)
    }
    if plan {
      for exposure in found where exposure.isToBeRotated {
        try report.result(exposure.object(of: member), text: exposure.credential)
      }
    } else {
      for exposure in found { try report.result(exposure.object(of: member), text: exposure.text) }
    }
    if found.isEmpty { report.note("\(member) could open nothing\(since == nil ? "" : " since then")") }
    found.warnOfHolder()
  }
}

extension MemberExposure {
  fileprivate var text: String {
    var line = "\(credential): versions up to \(newestVersion), "
    line += until.map { "from \(since) to \($0)" } ?? "from \(since) on"
    if let through { line += ", at the provider through \(through)" }
    if isOnlyNoted {
      line = "\(credential): versions up to \(newestVersion), noted at \(since) as exposed to them"
    } else if through == nil {
      line += reads == 0 ? ", not read" : ", read \(reads.times)\(lastRead.map { ", last at \($0)" } ?? "")"
    }
    if let sent {
      if isOnlySent {
        line = "\(credential): version \(sent.version) was sent at \(sent.time)"
      } else {
        line += "; version \(sent.version) was sent at \(sent.time)"
      }
    }
    switch standing {
    case .damaged: line += "; its record is damaged: which version is active is not known"
    case .removed: line += "; the credential was removed"
    case .transferred: line += "; it was handed over, and is rotated by its recipient"
    case .rotated: line += "; rotated since: version \(active ?? 0) is active"
    case .open: line += "; open now: version \(active ?? 0) is active"
    case .exposed: line += "; version \(active ?? 0) is still active: `relatch rotate \(credential)`"
    }
    if let reaching { line += "; \(reaching)'s pair, which they know, may still be accepted and can read it" }
    if !owed.isEmpty {
      let versions = owed.map(String.init).joined(separator: ", ")
      line += "; version \(versions) may still be accepted: `relatch retire \(credential)`"
    }
    if !elsewhere.isEmpty {
      let versions = elsewhere.map(String.init).joined(separator: ", ")
      line += "; version \(versions) was left behind at a former place, which nobody saw refuse it"
    }
    return line
  }

  fileprivate func object(of member: String) -> JSONValue {
    var members: [String: JSONValue] = [
      "credential": .string(credential), "member": .string(member),
      "newest_version": .integer(Int(clamping: newestVersion)),
      "owed": .array(owed.map { .integer(Int(clamping: $0)) }), "reads": .integer(reads),
      "rotate": .bool(isToBeRotated), "since": .string(since.description), "standing": .string(standing.rawValue),
      "type": "exposure",
    ]
    if !elsewhere.isEmpty { members["elsewhere"] = .array(elsewhere.map { .integer(Int(clamping: $0)) }) }
    if let active { members["active"] = .integer(Int(clamping: active)) }
    if let through { members["through"] = .string(through) }
    if let sent { members["sent"] = .string(sent.time.description) }
    if let lastRead { members["last_read"] = .string(lastRead.description) }
    if let until { members["until"] = .string(until.description) }
    return .object(members)
  }
}

extension [MemberExposure] {
  /// Those that were removed, and of which the vault may have the pair that `member` knows again, under the same name.
  private var addedAgain: Self { filter { $0.isAddedAgain } }

  /// Warns of those that were removed and whose name was added again: nothing shows whether it is the pair that `member`
  /// knows. Returns whether there are any.
  @discardableResult
  func warnOfAddedAgain(knownTo member: String) -> Bool {
    for exposure in addedAgain {
      guard let removed = exposure.removed else { continue }
      let name = exposure.credential
      Diagnostics.standard.warning(
        "\(name) was removed at \(removed), with a pair that \(member) could open, and was added again: if that has the same"
          + " pair, `relatch revoke \(name) --reason TEXT` ends it")
    }
    return !addedAgain.isEmpty
  }

  /// The same, and for the others too, of which nothing is left here that could be ended.
  func warnOfRemoved(knownTo member: String) -> Bool {
    let gone = filter { !$0.isAddedAgain }.compactMap { exposure in
      exposure.removed.map { "\(exposure.credential) was removed at \($0)" }
    }
    if !gone.isEmpty {
      Diagnostics.standard.warning(
        "\(gone.joined(separator: ", ")), with a pair that \(member) could open and that its provider may accept still: if it"
          + " was added under another name, revoke that; or else end it at the provider")
    }
    return warnOfAddedAgain(knownTo: member)
  }

  /// Warns if the member can still open some of it.
  func warnOfHolder() {
    guard let holder = compactMap(\.holder).first else { return }
    Diagnostics.standard.warning(
      "\(holder) can still open some of this, and what replaces it: first `relatch member remove \(holder)`")
  }
}
