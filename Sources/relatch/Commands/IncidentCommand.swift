import ArgumentParser
import Audit
import JSON
import Vault

struct IncidentCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "incident",
    abstract: "Report what happened after a leak: reported, replaced, delivered, refused, owed.",
    discussion: """
      The report is read from the log without unlocking anything and contains no secret. It includes proofs that \
      other people's tools can check (`relatch log prove` prints one). Without a name, the incidents are listed. Ends \
      with 12 while something is owed by what is shown, or a leaked pair is accepted again.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(
    help: "The incident's name, or a credential's for its newest incident.", completion: .credentialName)
  var name: String?

  @Flag(help: "Print a page for a browser; it needs no network and no other file.")
  var html = false

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("Write the report to this file; it must not exist.", valueName: "file"),
    completion: .file())
  var output: String?

  func validate() throws {
    guard name != nil || !html && output == nil else { throw ValidationError("expected the name of one incident") }
    guard !html || !options.json else { throw ValidationError("--html and --json exclude each other") }
  }

  func run() async throws {
    let now = WallClock.now()
    let place = try OutputPlace(output, nil, verb: "incident NAME -o FILE")
    let name = name
    let found = try await Places(options).look(at: "incident", about: name) { view in
      let parts = try IncidentHistory(view).parts
      guard let name else {
        return Found(
          .all(parts, reached: try view.reaches(of: parts).map { $0 != nil }),
          disagreeing: try view.disagreements(with: parts))
      }
      // A leak that was reported again after its end keeps the name of its first incident.
      let found =
        parts.last { $0.incident == name || $0.credential == name }
        ?? parts.last { part in part.reports.contains { $0.entry.details["incident"] == .string(name) } }
      guard let incident = found?.incident else {
        throw Failure(
          .notFound, "there is no incident \(Name.printable(name)), and none of a credential of that name",
          hint: "`relatch incident` lists the incidents; `relatch revoke NAME --reason TEXT` reports a leak")
      }
      let chosen = parts.filter { $0.incident == incident }
      return Found(
        .one(try IncidentReport(of: incident, chosen, in: view, now: now)),
        disagreeing: try view.disagreements(with: chosen))
    }
    let report = Report(options)
    switch found.content {
    case .all(let parts, let reached):
      if parts.isEmpty { report.note("no leak has been reported") }
      let standings = zip(parts, reached).map { part, isReached in isReached ? .owed : part.standing }
      for (part, standing) in zip(parts, standings) {
        try report.result(part.json(standing), text: part.line(standing))
      }
      if standings.contains(where: { [.owed, .accepted].contains($0) }), found.disagreeing.isEmpty {
        throw Status(code: .debtOutstanding)
      }
    case .one(let incident):
      let text = html ? incident.page : options.json ? incident.json.line + "\n" : incident.text + "\n"
      if let output {
        try place.write(Array(text.utf8))
        report.note("\(output): incident \(incident.name)")
      } else {
        try StandardStream.output.write(text)
      }
      if incident.isOwed || incident.isBack, found.disagreeing.isEmpty { throw Status(code: .debtOutstanding) }
    }
    guard found.disagreeing.isEmpty else {
      throw Failure(
        .corruptData,
        "the log and the record of \(found.disagreeing.joined(separator: ", ")) disagree on whether a leaked pair"
          + " is still owed",
        hint: "trust neither: try the leaked pair (`relatch revoke --pair-file FILE --reason TEXT`), and see in the"
          + " report who wrote each entry")
    }
  }

  private struct Found: Sendable {
    enum Content: Sendable {
      /// And for each whether the pair that replaced what leaked is in reach of a leaked administrator.
      case all([IncidentHistory.Part], reached: [Bool])
      case one(IncidentReport)
    }

    let content: Content
    /// The credentials whose records disagree with the log.
    let disagreeing: [String]

    init(_ content: Content, disagreeing: [String]) {
      self.content = content
      self.disagreeing = disagreeing
    }
  }
}

extension IncidentHistory.Part {
  /// What it has come to, in one word that does not change.
  enum Standing: String, Sendable {
    /// A leaked version was not seen to be refused, or what replaced it can be read with another leaked pair.
    case owed
    /// The same, and the credential was removed.
    case removed
    /// A leaked version was refused, and is accepted again.
    case accepted
    /// All were seen to be refused but those that were left at a former place.
    case elsewhere
    case refused
  }

  var standing: Standing {
    if !owed.isEmpty { return isRemoved ? .removed : .owed }
    guard acceptedAgain.isEmpty else { return .accepted }
    return leftElsewhere.isEmpty ? .refused : .elsewhere
  }

  /// Its line in the list.
  func line(_ standing: Standing) -> String {
    let reported = reports.first.map { "\($0.entry.time)" } ?? "-"
    return Diagnostics.printable("\(incident)  \(credential)  reported \(reported)  \(standing.rawValue)")
  }

  fileprivate func json(_ standing: Standing) -> JSONValue {
    .object([
      "credential": .string(credential), "incident": .string(incident),
      "reported": .string(reports.first?.entry.time.description ?? ""), "standing": .string(standing.rawValue),
      "type": "incident-summary",
    ])
  }
}
