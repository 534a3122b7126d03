import Audit
import Foundation
import OrgSimulator
import Providers
import Rotation
import Testing
import Transport

/// Each fault × each kind of credential. docs/doctor.md prints the table.
@Suite("The checklist of an org")
struct ChecklistTableTests {
  /// Runs `body` with a healthy credential of each kind; one org is reset again and again.
  private func withBenches(
    _ settings: [ChecklistSetting] = ChecklistSetting.all,
    _ body: (ChecklistSetting, () throws -> ChecklistBench) async throws -> Void
  ) async throws {
    let transport = CurlTransport()
    for setting in settings {
      let server = SimulatorServer(layout: OrgLayout(apps: 1, everyAppIsAdmin: setting.isSelf))
      let url = try await server.start()
      let moment = server.moment
      let result: Result<Void, any Error>
      do {
        try await body(setting) {
          server.restore(moment)
          return try ChecklistBench(setting, server, at: url, transport)
        }
        result = .success(())
      } catch { result = .failure(error) }
      await server.stop()
      try result.get()
    }
    await transport.shutdown()
  }

  @Test("is all ok if nothing is wrong, and no request of it changes anything")
  func healthy() async throws {
    try await withBenches { setting, make in
      let bench = try make()
      let lines = try await bench.examine()
      #expect(lines.allSatisfy { $0.verdict == .ok && $0.fix == nil }, "\(setting): \(lines)")
      let words = lines.map(\.step.word)
      #expect(Set(words).count == words.count && words.contains("admin") != setting.isSelf)
      let user = try #require(lines.first { $0.step.word == "user" })
      #expect(user.text.contains("@example.com") && user.text.contains("user 005"), "\(user.text)")
      expectReadsOnly(bench)
    }
  }

  private func expectReadsOnly(_ bench: ChecklistBench, _ words: String = "") {
    let changes = bench.server.requests.filter { $0.method != "GET" && $0.path != "/services/oauth2/token" }
    #expect(changes.isEmpty, "\(words): \(changes.map(\.path))")
  }

  private struct Cell {
    let missing: ChecklistLine
    let unknown: [String]
  }

  @Test(
    "has exactly one missing line for each published fault, and every other line is ok or names that one as the cause")
  func table() async throws {
    var cells: [String: [ChecklistSetting: Cell]] = [:]
    try await withBenches { setting, make in
      for fault in ChecklistFault.all where fault.strikes(setting) {
        let bench = try make()
        try await fault.strike(bench)
        bench.server.forgetRequests()
        let lines = try await bench.examine()
        let missing = lines.filter { $0.verdict == .missing }
        #expect(missing.map(\.step.word) == [fault.missing], "\(setting): \(fault.words): \(missing)")
        let unknown = lines.filter { $0.verdict == .cannotTell }
        for line in unknown {
          #expect(line.because?.word == fault.missing, "\(setting): \(fault.words): \(line.step): \(line.text)")
        }
        expectReadsOnly(bench, fault.words)
        let line = try #require(missing.first)
        #expect(line.fix?.isEmpty == false, "\(fault.words)")
        cells[fault.words, default: [:]][setting] = Cell(missing: line, unknown: unknown.map(\.step.word))
      }
    }
    // The same at an org of Cloudaware's, except for what only its credentials have.
    for (words, found) in cells {
      for isSelf in [false, true] {
        guard let plain = found[.init(provider: "salesforce", isSelf: isSelf)],
          let cloudaware = found[.init(provider: "cloudaware", isSelf: isSelf)]
        else { continue }
        #expect(plain.unknown == cloudaware.unknown.filter { $0 != "probe" }, "\(words)")
      }
    }
    try GeneratedPage("docs/doctor.md").compare(
      Self.page(cells), between: "<!-- fault table -->\n", and: "\n<!-- end -->")
  }

  private static let tokenSteps = [
    "org", "limits", "pair", "flow", "user", "approved", "login", "scopes", "instance", "signature", "probe",
  ]

  /// If all the steps that a token grant reports are meant, they are shown as one.
  private static func shown(_ cell: Cell?) -> String {
    guard let cell else { return "—" }
    var unknown = cell.unknown
    let told = tokenSteps.filter { $0 != cell.missing.step.word }
    if told.allSatisfy(unknown.contains) {
      unknown = ["*token*"] + unknown.filter { !told.contains($0) }
    }
    return unknown.isEmpty ? "none" : unknown.joined(separator: ", ")
  }

  private static func page(_ cells: [String: [ChecklistSetting: Cell]]) -> String {
    var text = """

      | what is wrong | missing | cannot tell | where it administers itself | what fixes it |
      |---|---|---|---|---|

      """
    for fault in ChecklistFault.all {
      guard let found = cells[fault.words], let one = found.values.first else { continue }
      let administered = found[.init(provider: "cloudaware", isSelf: false)]
      let itself = found[.init(provider: "cloudaware", isSelf: true)]
      let salesforce = found[.init(provider: "salesforce", isSelf: false)] ?? administered ?? one
      let fix = (salesforce.missing.fix ?? "").replacing("|", with: "\\|")
      text +=
        "| \(fault.words) | `\(fault.missing)` | \(shown(administered)) | \(shown(itself)) | \(fix) |\n"
    }
    return text
  }

  @Test("has at most one missing line if an answer is spoilt in any way")
  func spoilt() async throws {
    try await withBenches([ChecklistSetting.all[0], ChecklistSetting.all[3]]) { setting, make in
      for kind in OrgFault.Kind.allCases {
        for path in ["/services/data", "*/token", "*/userinfo", "*/query", "*/credentials/*", "*/staged"] {
          let bench = try make()
          bench.server.add(OrgFault(kind, path: path, count: nil, seconds: 0.01, bytes: 2 << 20))
          let lines = try await bench.examine()
          let missing = lines.filter { $0.verdict == .missing }
          #expect(missing.count <= 1, "\(setting), \(kind) at \(path): \(missing)")
          for line in missing { #expect(line.fix?.isEmpty == false, "\(kind) at \(path)") }
          for line in lines where line.because != nil { #expect(line.because == missing.first?.step, "\(line)") }
          if path == "*/userinfo" || kind == .slow { #expect(missing.isEmpty, "\(kind) at \(path): \(missing)") }
          expectReadsOnly(bench, "\(kind) at \(path)")
        }
      }
    }
  }

  @Test("says so if a line cannot be checked without a token or without a request")
  func withoutIdentity() async throws {
    try await withBenches { setting, make in
      let bench = try make()
      let withheld = try await bench.examine(withheld: "identity")
      let seen = withheld.filter { $0.verdict == .ok }.map(\.step.word)
      #expect(seen == ["url", "host", "tls", "clock", "version"], "\(setting): \(seen)")
      #expect(withheld.allSatisfy { $0.verdict == .ok || $0.because?.word == "identity" })
      #expect(bench.server.requests.map(\.path) == ["/services/data"])
      bench.server.forgetRequests()
      let offline = try await bench.examine(isOffline: true)
      #expect(offline.filter { $0.verdict == .ok }.map(\.step.word) == ["url"])
      #expect(offline.allSatisfy { $0.verdict == .ok || $0.because?.word == "--offline" })
      #expect(bench.server.requests.isEmpty)
    }
  }

  @Test("does not call missing what the org does not show")
  func untold() async throws {
    try await withBenches([ChecklistSetting.all[0]]) { _, make in
      let bench = try make()
      bench.changeApp { $0.showsUser = false }
      let user = try #require(try await bench.examine().first { $0.step.word == "user" })
      #expect(user.verdict == .ok && user.text.contains("is not shown to this token (HTTP 403)"), "\(user)")
      // A missing list of versions says nothing about the org.
      bench.server.add(OrgFault(.htmlPage, path: "/services/data", count: nil))
      let lines = try await bench.examine()
      #expect(lines.filter { $0.verdict != .ok }.map(\.step.word) == ["version"], "\(lines)")
      #expect(lines.allSatisfy { $0.verdict != .missing })
    }
  }
}

/// The time of this machine, which the org shares unless its clock is moved.
enum WallTime {
  static func now() -> Timestamp { Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) }
}
