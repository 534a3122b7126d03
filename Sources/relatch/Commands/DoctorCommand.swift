import ArgumentParser
import Audit
import Providers
import Rotation
import Transport
import Vault

struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Check a credential's set-up step by step, and say which step is missing.",
    discussion: """
      Each line is a step of the set-up guide: ok; missing, with how to fix it; or cannot tell, with the line that \
      prevents it. Nothing is changed. It unlocks the vault and fetches a token; every access is logged. Without an \
      identity, or with --offline, it checks what it can.

      Ends with 0 if nothing is missing, 78 if something is, 69 if only the provider could not be reached, 77 if only \
      this identity cannot open what the check needs.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credentials' names; all if none is given.", completion: .credentialName)
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
    let findings = try await subjects(places, now: WallClock.now())
    let subjects = findings.found
    let failed = report.failures(findings.failures)
    guard !subjects.isEmpty else {
      if let failed { throw Status(code: failed) }
      return report.note("there is no credential to check")
    }
    let examination = try await Examination(places, isOffline: offline)
    var lines: [ChecklistLine] = []
    var hasTold = false
    for subject in subjects {
      let found = try await examination.lines(of: subject)
      lines += found
      // With --quiet, for cron, only what is missing is printed.
      guard report.isJSON || !report.isQuiet || found.contains(where: { $0.verdict == .missing }) else { continue }
      if hasTold, !report.isJSON { try report.text("") }
      try report.checklist(found, of: subject.credential, isOffline: offline)
      hasTold = true
    }
    await examination.transport.shutdown()
    let code = failed ?? lines.exitCode
    if code != .done { throw Status(code: code) }
  }

  private func subjects(_ places: Places, now: Timestamp) async throws -> CredentialFindings<PlanSubject> {
    var seen: Set<String> = []
    let names = names.filter { seen.insert($0).inserted }
    return try await places.openLocked().read { view in
      let size = view.logSize
      let records = try names.isEmpty ? view.credentialRecords() : view.credentialRecords(of: names)
      if !names.isEmpty, let gone = records.credentials.first(where: \.isTransferred) {
        throw Failure(
          .usage, "\(gone.name) was handed over: its set-up is checked where it is rotated now",
          hint: "`relatch status \(gone.name)` says since when, and what is owed here")
      }
      return CredentialFindings(records) { credential in
        guard !credential.isTransferred else { return nil }
        try view.requireIndexed(credential)
        return try PlanSubject(credential, in: view, places, logSize: size, now: now)
      }
    }
  }
}

extension [ChecklistLine] {
  /// 0 unless a line is missing. Otherwise the code says whose concern it is, with somebody's set-up first.
  var exitCode: ExitCode {
    let concerns = filter { $0.verdict == .missing }.map(\.concern)
    if concerns.contains(.setup) { return .configuration }
    if concerns.contains(.reach) { return .providerUnreachable }
    return concerns.isEmpty ? .done : .notPermitted
  }
}
