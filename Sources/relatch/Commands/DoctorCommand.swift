import ArgumentParser
import Audit
import Providers
import Rotation
import Storage
import Transport
import Vault

struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Go through the set-up of a credential, and say which step is missing.",
    discussion: """
      Each line is a step of its set-up guide: ok, missing with what mends it, or cannot tell with the line that is in the \
      way. Nothing is changed. It unlocks the vault and fetches a token; every access is logged. Without an identity, or with \
      --offline, it looks at what it can.

      Ends with 0 if nothing is missing, 78 if something is, 69 if only the provider could not be reached, 77 if only this \
      identity cannot open what it would need.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credentials' names; all if none is given.")
  var names: [String] = []

  @Flag(help: "All credentials.")
  var all = false

  @Flag(help: "Look at the vault and this machine only.")
  var offline = false

  func validate() throws {
    guard names.isEmpty || !all else { throw ValidationError("expected names of credentials, or --all") }
  }

  func run() async throws {
    let report = Report(options)
    let places = try Places(options)
    let subjects = try await subjects(places, now: WallClock.now())
    guard !subjects.isEmpty else { return report.note("there is no credential to look at") }
    let examination = try await Examination(places, isOffline: offline)
    var lines: [ChecklistLine] = []
    var hasTold = false
    for subject in subjects {
      let found = try await examination.lines(of: subject)
      lines += found
      // Mail from cron is for what is missing.
      guard report.isJSON || !report.isQuiet || found.contains(where: { $0.verdict == .missing }) else { continue }
      if hasTold, !report.isJSON { try report.text("") }
      try report.checklist(found, of: subject.credential, isOffline: offline)
      hasTold = true
    }
    await examination.transport.shutdown()
    let code = lines.exitCode
    if code != .done { throw Status(code: code) }
  }

  private func subjects(_ places: Places, now: Timestamp) async throws -> [PlanSubject] {
    var seen: Set<String> = []
    let names = names.filter { seen.insert($0).inserted }
    return try await places.openLocked().read { view in
      let size = view.logSize
      let chosen =
        try names.isEmpty ? view.credentials().filter { !$0.isTransferred } : names.map { try view.credential($0) }
      var index = try IndexCheck(view)
      return try chosen.map { credential in
        try index.require(credential)
        guard !credential.isTransferred else {
          throw Failure(
            .usage, "\(credential.name) was handed over: its set-up is looked at where it is rotated now",
            hint: "`relatch status \(credential.name)` says since when, and what is owed here")
        }
        return try PlanSubject(credential, in: view, places, logSize: size, now: now)
      }
    }
  }
}

extension [ChecklistLine] {
  /// 0 unless a line is missing; then by whose concern it is, somebody's set-up first.
  var exitCode: ExitCode {
    let concerns = filter { $0.verdict == .missing }.map(\.concern)
    if concerns.contains(.setup) { return .configuration }
    if concerns.contains(.reach) { return .providerUnreachable }
    return concerns.isEmpty ? .done : .notPermitted
  }
}
