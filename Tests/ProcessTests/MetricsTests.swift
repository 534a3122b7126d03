import Age
import Audit
import Glibc
import Sodium
import Testing

@testable import Rotation
@testable import Vault
@testable import relatch

@Suite("Metrics as Prometheus reads them")
struct MetricsTests {
  private static let moment = Timestamp(milliseconds: 1_779_000_000_050)

  /// A credential with everything that can be known about one.
  private static let full = CredentialFigures(
    name: "crm/prod", provider: "salesforce", created: moment, expiries: [(stage: .previous, at: moment)],
    exposed: moment, leaked: moment,
    appointment: RotationSchedule { _ in nil }.appointment(for: scheduled, journal: nil, partners: []),
    lastSuccess: moment, state: .owed, unfinishedSince: moment, failedAttempts: 2, debts: 1, oldestDebt: moment,
    debtsDue: moment, undelivered: 3)

  private static let bare = CredentialFigures(
    name: "new", provider: "salesforce", created: moment, expiries: [], exposed: nil, leaked: nil, appointment: nil,
    lastSuccess: nil, state: nil,
    unfinishedSince: nil, failedAttempts: 0, debts: 0, oldestDebt: nil, debtsDue: nil, undelivered: nil)

  private static let scheduled: Credential = {
    var policy = Policy()
    policy.maxAge = .seconds(3600)
    return Credential(
      id: Identifier(drawnFrom: .system), name: "crm/prod", provider: "salesforce", settings: [:], policy: policy,
      admin: "crm/prod", keyID: "", created: moment)
  }()

  private static func figures(_ credentials: [CredentialFigures], run: VaultFigures.Run? = nil) -> VaultFigures {
    VaultFigures(
      written: moment, vaultBytes: 4096, logEntries: 7, checkpointed: moment, credentials: credentials,
      witnesses: [
        WitnessFigures(name: "usb", unseen: 2, since: moment), WitnessFigures(name: "w1", unseen: 0, since: nil),
      ], run: run)
  }

  private static let labels = #"{credential="crm/prod",provider="salesforce"}"#

  @Test func `what is known has a sample, with its labels and to the millisecond`() {
    let text = Self.figures([Self.full], run: .init(ended: Self.moment, code: .debtOutstanding)).text
    let lines = text.split(separator: "\n").map(String.init)
    let labels = Self.labels
    for line in [
      "relatch_build_info{version=\"\(Relatch.version)\"} 1", "relatch_log_entries 7",
      "relatch_metrics_written_timestamp_seconds 1779000000.050", "relatch_run_exit_code 12",
      #"relatch_witness_unseen_entries{witness="usb"} 2"#, #"relatch_witness_unseen_entries{witness="w1"} 0"#,
      #"relatch_witness_unseen_timestamp_seconds{witness="usb"} 1779000000.050"#,
      "relatch_pair_exposed_timestamp_seconds\(labels) 1779000000.050",
      "relatch_leak_timestamp_seconds\(labels) 1779000000.050", "relatch_vault_size_bytes 4096",
      "relatch_pair_created_timestamp_seconds\(labels) 1779000000.050",
      #"relatch_pair_expiry_timestamp_seconds{credential="crm/prod",provider="salesforce",stage="previous"} 1779000000.050"#,
      "relatch_rotation_next_timestamp_seconds\(labels) 1779003600.050",
      "relatch_rotation_overdue_timestamp_seconds\(labels) 1779007200.050",
      "relatch_rotation_failed_attempts\(labels) 2", "relatch_debts\(labels) 1",
      "relatch_debt_due_timestamp_seconds\(labels) 1779000000.050", "relatch_delivery_outstanding\(labels) 3",
      #"relatch_rotation_state{credential="crm/prod",provider="salesforce",state="owed"} 1"#,
      #"relatch_rotation_state{credential="crm/prod",provider="salesforce",state="none"} 0"#,
    ] { #expect(lines.contains(line), "\(line)") }
    #expect(!text.contains(#"relatch_witness_unseen_timestamp_seconds{witness="w1"}"#))
    #expect(lines.count { $0.hasPrefix("relatch_rotation_state{") && $0.hasSuffix(" 1") } == 1)
    #expect(lines.count { $0.hasPrefix("relatch_rotation_state{") } == RotationState.allCases.count + 1)
  }

  @Test func `what is not known is not there at all`() {
    let text = Self.figures([Self.bare]).text
    for name in [
      "relatch_pair_exposed", "relatch_leak", "relatch_rotation_next", "relatch_rotation_overdue",
      "relatch_rotation_last_success",
      "relatch_pair_expiry",
      "relatch_rotation_unfinished", "relatch_debt_oldest", "relatch_debt_due", "relatch_delivery", "relatch_run",
    ] { #expect(!text.contains(name), "\(name)") }
    #expect(text.contains(#"relatch_rotation_state{credential="new",provider="salesforce",state="none"} 1"#))
  }

  @Test func `labels and help are escaped`() {
    let family = MetricFamily(
      "x", help: "a\\b\nc\"d", [.init(labels: ["l": "a\\b\nc\"d\u{301}"], value: .integer(-1))])
    #expect(family.text == "# HELP x a\\\\b\\nc\"d\n# TYPE x gauge\nx{l=\"a\\\\b\\nc\\\"d\u{301}\"} -1\n")
  }

  @Test(arguments: [(0, "0"), (1, "0.001"), (1000, "1"), (-1500, "-1.500"), (1_779_000_000_120, "1779000000.120")])
  func `a moment is written in seconds`(milliseconds: Int64, text: String) {
    #expect(MetricFamily.Value.moment(Timestamp(milliseconds: milliseconds)).description == text)
  }

  @Test func `the page lists every metric, and no other`() throws {
    let page = try contents(ofRepositoryFile: "docs/unattended.md")
    let listed = page.split(separator: "\n").filter { $0.hasPrefix("| `relatch_") }.map { line in
      String(line.drop { $0 != "`" }.dropFirst().prefix { $0 != "`" })
    }
    let families = Self.figures([Self.full], run: .init(ended: Self.moment, code: .done)).families
    #expect(listed == families.map(\.name))
    #expect(families.allSatisfy { !$0.text.isEmpty && !$0.help.isEmpty })
  }
}

@Suite("Since when, in metrics")
struct MetricMomentTests {
  private let ahead = vaultMoment + .seconds(50 * 86_400)
  private let now = vaultMoment + .seconds(10 * 86_400)

  private func figures(
    _ credential: Credential, journal: RotationJournal? = nil, now: Timestamp? = nil
  ) -> CredentialFigures {
    CredentialFigures(credential, journal: journal, now: now ?? self.now, appointment: nil)
  }

  @Test func `what a clock that was ahead has dated counts from when the credential was made, not from a day to come`()
    async throws
  {
    let credential = try await vault(adding: ["crm"]).read { try $0.credential("crm") }
    func leaked(at time: Timestamp, now: Timestamp? = nil) -> Timestamp? {
      var leaked = credential
      leaked.noteLeak(incident: "x", version: 1, now: time)
      return figures(leaked, now: now).leaked
    }
    #expect(leaked(at: ahead) == vaultMoment)
    #expect(leaked(at: now + .seconds(1800)) == now + .seconds(1800), "clocks differ a little")
    #expect(leaked(at: ahead, now: vaultMoment + .seconds(-86_400)) == Timestamp(milliseconds: 0))
    var exposed = credential
    exposed.expose(to: "bob", now: ahead)
    #expect(figures(exposed).exposed == vaultMoment)
    #expect(figures(credential, journal: RotationJournal(beginning: 1, at: ahead)).unfinishedSince == vaultMoment)
    var owing = credential
    _ = try owing.addStaged(handle: nil, expires: nil, now: ahead)
    try owing.promoteStaged(now: ahead)
    let found = figures(owing, journal: RotationJournal(beginning: 2, at: ahead))
    #expect(found.oldestDebt == vaultMoment && found.debtsDue == vaultMoment)
    let then = figures(owing, journal: RotationJournal(beginning: 2, at: ahead), now: ahead)
    #expect(then.debtsDue == ahead + .seconds(86_400))
  }

  @Test func `the debt of a pair that was handed over is due from its receipt or the handoff's end, not at each try`()
    async throws
  {
    let vault = try await vault(adding: ["crm"])
    let end = vaultMoment + .seconds(86_400)
    _ = try await vault.sendHandoff(
      of: "crm", stage: .active, to: HandoffRecipient(try AgeIdentity(generating: .system).recipient), expires: end,
      note: nil, isTransfer: true, now: vaultMoment)
    var credential = try await vault.read { try $0.credential("crm") }
    for days in 1...9 { credential.transfer?.noteAttempt(isRefused: false, now: end + .seconds(days * 86_400)) }
    #expect(figures(credential).debtsDue == end)
    credential.transfer?.confirm(now: vaultMoment + .seconds(60))
    credential.transfer?.noteAttempt(isRefused: false, now: now)
    #expect(figures(credential).debtsDue == vaultMoment + .seconds(60))
    credential.transfer?.confirm(now: ahead)
    #expect(figures(credential).debtsDue == vaultMoment)
  }
}

@Suite("The file of the metrics")
struct MetricsFileTests {
  private let folder: String

  init() throws {
    var template = Array("/tmp/relatch-metrics-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) } }
    folder = String(cString: try #require(made))
  }

  private func names() throws -> [String] {
    let directory = try #require(opendir(folder))
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }

  private func text(_ path: String) -> String? { ProcFile.text(path) }

  @Test func `it is replaced as a whole, readable by others, and leaves nothing beside it`() throws {
    let path = folder + "/a.prom"
    let before = umask(0o077)
    defer { umask(before) }
    try MetricsFile.write("# HELP a 1st\n", to: path)
    let reader = open(path, O_RDONLY)
    defer { close(reader) }
    try MetricsFile.write("# HELP a second\n", to: path)
    var buffer = [UInt8](repeating: 0, count: 100)
    #expect(read(reader, &buffer, 100) == 13, "who reads the old file reads all of it")
    #expect(text(path) == "# HELP a second\n")
    var information = stat()
    #expect(stat(path, &information) == 0 && information.st_mode & 0o7777 == 0o644)
    #expect(try names() == ["a.prom"])
  }

  @Test func `what is no regular file is not replaced`() throws {
    let target = folder + "/target"
    try MetricsFile.write("kept\n", to: target)
    #expect(symlink(target, folder + "/link") == 0)
    for path in [folder + "/link", folder, "/dev/null"] {
      #expect(throws: Failure.self, "\(path)") { try MetricsFile.write("x", to: path) }
    }
    #expect(text(target) == "kept\n")
    #expect(try names() == ["link", "target"])
  }

  @Test(arguments: ["", "/nonexistent/a.prom"]) func `what cannot be written is an error`(path: String) throws {
    #expect(throws: Failure.self) { try MetricsFile.write("x", to: path) }
  }
}
