import Foundation
import Glibc
import Testing

private let pages = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent().appendingPathComponent("docs/unattended")

@Suite("Runs without a person")
struct UnattendedTests {
  @Test("Metrics of a whole life pass promtool and report what happened", .enabled(if: Programs.promtool != nil))
  func metrics() async throws {
    let promtool = try #require(Programs.promtool)
    let place = try await Workplace(["--apps", "2"])
    try await place.add("crm", policy: ["max-age=90d", "propagation=0s"])
    try await place.add("erp", app: 2)
    func metrics() async throws -> String {
      // Nothing is unlocked, because there is no identity.
      let printed = try await place.relatch("metrics", environment: ["RELATCH_IDENTITY": "/nonexistent"])
      #expect(printed.code == 0 && printed.errors.isEmpty, "\(printed.errorText)")
      let checked = try await place.run(promtool, ["check", "metrics"], stdin: printed.outputText)
      #expect(checked.code == 0 && checked.errors.isEmpty && checked.output.isEmpty, "\(checked.errorText)")
      return printed.outputText
    }
    let labels = #"{credential="crm",provider="salesforce"}"#
    let fresh = try await metrics()
    #expect(fresh.contains(#"relatch_rotation_state{credential="crm",provider="salesforce",state="none"} 1"#))
    #expect(!fresh.contains("relatch_rotation_last_success_timestamp_seconds"))
    #expect(fresh.contains("\nrelatch_rotation_overdue_timestamp_seconds\(labels) "))
    #expect(!fresh.contains(#"relatch_rotation_overdue_timestamp_seconds{credential="erp""#), "it has no schedule")

    let file = place.folder.appendingPathComponent("relatch.prom")
    let rotated = try await place.relatch("rotate", "crm", "erp", "--quiet", "--metrics", file.path)
    #expect(rotated.code == 0 && rotated.errors.isEmpty && rotated.output.isEmpty, "\(rotated.errorText)")
    let written = try String(contentsOf: file, encoding: .utf8)
    #expect(written.contains("\nrelatch_run_exit_code 0\n"))
    #expect(written.contains(#"relatch_rotation_state{credential="crm",provider="salesforce",state="owed"} 1"#))
    #expect(written.contains("\nrelatch_debts\(labels) 1\n"))
    let expiry = #"relatch_pair_expiry_timestamp_seconds{credential="crm",provider="salesforce",stage="previous"}"#
    #expect(written.contains(expiry))
    #expect(try await metrics().contains("\nrelatch_debt_due_timestamp_seconds\(labels) "))

    let before = try FileManager.default.contentsOfDirectory(atPath: place.folder.path).filter { $0.contains(".prom") }
    #expect(before == ["relatch.prom"], "nothing is left beside it")
    let replaced = try await place.relatch("metrics", "-o", file.path)
    #expect(replaced.code == 0 && replaced.output.isEmpty && replaced.errors.isEmpty)
    #expect(try !String(contentsOf: file, encoding: .utf8).contains("relatch_run_"), "no run wrote this one")
    #expect(try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int == 0o644)
  }

  @Test("A grace that a person ends is over in the status and the metrics, also if the pair is not refused yet")
  func endedGrace() async throws {
    let place = try await Workplace(["--reading", "deleteDelay=600"])
    try await place.add("crm", policy: ["propagation=0s", "grace=30d"])
    #expect(try await place.relatch("rotate", "crm").code == 0)
    func due() async throws -> Double {
      let metrics = try await place.relatch("metrics").outputText
      let line = metrics.split(separator: "\n").first { $0.hasPrefix("relatch_debt_due_timestamp_seconds{") }
      return try #require(line?.split(separator: " ").last.flatMap { Double($0) }, "\(metrics)")
    }
    #expect(try await due() > Date().timeIntervalSince1970 + 86_400)
    #expect(try await place.relatch("retire", "crm").code == 12)
    let ended = try await due()
    #expect(ended <= Date().timeIntervalSince1970)
    let status = try await place.relatch("status", "crm")
    #expect(status.code == 12)
    #expect(status.outputText.contains("is deleted at the provider, and has not been seen to be refused"))
    #expect(!status.outputText.contains("its grace ends at"), "\(status.outputText)")
    // What is tried again was not asked for later.
    #expect(try await place.relatch("retire", "crm").code == 12)
    #expect(try await due() == ended)
  }

  @Test("A run that fails writes its code, and metrics that cannot be written are a warning")
  func failingRuns() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let file = place.folder.appendingPathComponent("relatch.prom")
    let locked = try await place.relatch(
      "rotate", "crm", environment: ["RELATCH_IDENTITY": "/nonexistent", "RELATCH_METRICS": file.path])
    expectFailure(locked, 66, "there is no identity")
    #expect(try String(contentsOf: file, encoding: .utf8).contains("\nrelatch_run_exit_code 66\n"))
    let unknown = try await place.relatch("rotate", "nope", "--metrics", file.path)
    expectFailure(unknown, 66)
    let rotated = try await place.relatch("rotate", "crm", "--quiet", "--metrics", "/nonexistent/relatch.prom")
    #expect(rotated.code == 0 && rotated.output.isEmpty)
    #expect(rotated.errorText.hasPrefix("relatch: warning: the metrics were not written: "), "\(rotated.errorText)")
    #expect(try await place.holdsPrimary("crm"))
    expectFailure(try await place.relatch("metrics", "-o", place.folder.path), 74, "not a regular file")
  }

  @Test("The alert rules fire if something is overdue, and only then", .enabled(if: Programs.promtool != nil))
  func rules() async throws {
    let promtool = try #require(Programs.promtool)
    let place = try await Workplace(addsAdmin: false)
    for file in ["relatch.rules.yml", "relatch.rules.test.yml"] {
      try FileManager.default.copyItem(
        at: pages.appendingPathComponent(file), to: place.folder.appendingPathComponent(file))
    }
    let rules = place.folder.appendingPathComponent("relatch.rules.yml")
    let tests = place.folder.appendingPathComponent("relatch.rules.test.yml").path
    let checked = try await place.run(promtool, ["check", "rules", rules.path])
    #expect(checked.code == 0 && checked.outputText.contains("SUCCESS"), "\(checked.outputText)\(checked.errorText)")
    let tested = try await place.run(promtool, ["test", "rules", tests])
    #expect(tested.code == 0, "\(tested.outputText)\(tested.errorText)")
    // With rules based on the age that is near, the tests would fail.
    let text = try String(contentsOf: rules, encoding: .utf8)
    let careless = text.replacingOccurrences(
      of: "relatch_rotation_overdue_timestamp_seconds", with: "relatch_rotation_next_timestamp_seconds")
    #expect(careless != text)
    try careless.write(to: rules, atomically: true, encoding: .utf8)
    #expect(try await place.run(promtool, ["test", "rules", tests]).code != 0)
    // Every metric that a rule mentions is written.
    let page = try String(contentsOf: pages.appendingPathComponent("../unattended.md").standardized, encoding: .utf8)
    for match in text.matches(of: #/\brelatch_[a-z_]+/#) { #expect(page.contains("| `\(match.0)` |"), "\(match.0)") }
  }

  @Test("systemd accepts the units without a warning", .enabled(if: Programs.systemdAnalyze != nil))
  func units() async throws {
    let systemd = try #require(Programs.systemdAnalyze)
    let place = try await Workplace(addsAdmin: false)
    let names = ["relatch-rotate.service", "relatch-rotate.timer", "relatch-rotate-failed.service"]
    func verify(_ change: (String) -> String = { $0 }) async throws -> Outcome {
      for name in names {
        let unit = try String(contentsOf: pages.appendingPathComponent(name), encoding: .utf8)
        // systemd looks for the program, which is here where it was built.
        try change(unit.replacingOccurrences(of: "/usr/bin/relatch ", with: Programs.relatch + " "))
          .write(to: place.folder.appendingPathComponent(name), atomically: true, encoding: .utf8)
      }
      return try await place.run(systemd, ["verify"] + names.map { place.folder.path + "/" + $0 })
    }
    let dropIns = place.folder.appendingPathComponent("relatch-rotate.service.d")
    try FileManager.default.createDirectory(at: dropIns, withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      at: pages.appendingPathComponent("metrics.conf"), to: dropIns.appendingPathComponent("metrics.conf"))
    let verified = try await verify()
    #expect(verified.code == 0 && verified.errors.isEmpty && verified.output.isEmpty, "\(verified.errorText)")
    // It ends with 0 on a key that it does not know: only its silence counts.
    let misspelt = try await verify { $0.replacingOccurrences(of: "PrivateTmp=", with: "PrivateTemp=") }
    #expect(misspelt.errorText.contains("PrivateTemp"))
  }

  @Test("Lines carry a priority in the systemd journal, and only there")
  func journal() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let named = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); exec \"$@\""
    let rotated = try await place.run("/bin/sh", ["-c", named, "sh", Programs.relatch, "rotate", "crm"])
    #expect(rotated.code == 0)
    let lines = rotated.errorText.split(separator: "\n")
    #expect(lines.count > 3 && lines.allSatisfy { $0.hasPrefix("<6>") }, "\(rotated.errorText)")
    #expect(!rotated.outputText.contains("<"))
    let failed = try await place.run("/bin/sh", ["-c", named, "sh", Programs.relatch, "rotate", "nope"])
    #expect(failed.errorText.hasPrefix("<3>relatch: error: ") && failed.errorText.contains("\n<5>relatch: hint: "))
    let elsewhere = try await place.relatch("rotate", "nope", environment: ["JOURNAL_STREAM": "9:41337"])
    expectFailure(elsewhere, 66)
    #expect(elsewhere.errorText.hasPrefix("relatch: error: "))
  }

  @Test("Each outcome and each failure is one message to syslog, without a secret")
  func syslog() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    var secrets = try await place.org.pairs()
    let log = try LocalSyslog(place.folder.appendingPathComponent("log").path)
    // One at a time, so that the messages come in the order of the names.
    let both = try await place.relatch("rotate", "crm", "nope", "--jobs", "1", "--quiet", "--syslog", log.path)
    #expect(both.code == 13)
    secrets.formUnion(try await place.org.pairs())
    let locked = ["RELATCH_SYSLOG": log.path, "RELATCH_IDENTITY": "/nonexistent"]
    #expect(try await place.relatch("retire", "crm", environment: locked).code == 66)
    #expect(try await place.relatch("retire", "crm", environment: ["RELATCH_SYSLOG": log.path]).code == 0)
    let messages = log.messages()
    let form = #/<(\d+)>1 [-0-9T:.]+Z \S+ relatch \d+ (\S+) \[relatch@32473 ([^\]]*)\] .+/#
    let parsed = try messages.map { try #require($0.wholeMatch(of: form), "\($0)") }
    #expect(parsed.map { "\($0.1) \($0.2)" } == ["85 promoted", "83 failed", "83 failed", "85 settled"])
    #expect(parsed[0].3 == #"credential="crm" event="promoted" rotation="1" version="2" code="0""#)
    #expect(parsed[1].3 == #"credential="nope" event="failed" code="66""#)
    #expect(parsed[2].3 == #"event="failed" code="66""#)
    for pair in secrets {
      #expect(messages.allSatisfy { !$0.contains(pair.secret) && !$0.contains(pair.key) })
    }
  }

  @Test("A finished run whose output fails ends with 74 and runs no hook for it, but a missed delivery is reported")
  func untold() async throws {
    let place = try await Workplace(["--apps", "2"])
    try await place.add("crm")
    try await place.add("erp", app: 2)
    let log = try LocalSyslog(place.folder.appendingPathComponent("log").path)
    let (told, metrics) = (place.folder.path + "/told", place.folder.path + "/relatch.prom")
    func add(_ name: String, _ occasion: String, _ lines: String) async throws {
      let added = try await place.relatch(
        "hook", "add", name, "--on", occasion, "--name", occasion, "--", "/bin/sh", "-c", lines)
      #expect(added.code == 0, "\(added.errorText)")
    }
    func untold(_ arguments: String) async throws -> Outcome {
      try await place.run(
        "/bin/sh", ["-c", "exec \"$0\" \(arguments) > /dev/full", Programs.relatch],
        environment: ["RELATCH_SYSLOG": log.path, "RELATCH_METRICS": metrics])
    }
    try await add("crm", "failed", "cat > '\(told)'")
    expectFailure(try await untold("rotate crm --json"), 74, "cannot write standard output")
    #expect(try await place.holdsPrimary("crm"))
    expectFailure(try await untold("retire crm"), 74, "cannot write standard output")
    #expect(try await place.org.consumer().slot == nil)
    expectFailure(try await untold("retire crm"), 74, "cannot write standard output")
    for options in ["", "--json"] {
      let both = try await untold("rotate crm erp --replace-previous \(options)")
      expectFailure(both, 74)
      #expect(both.errorText.components(separatedBy: "cannot write standard output").count == 2, "\(both.errorText)")
      #expect(options == "--json" || !both.errorText.contains("failed"), "\(both.errorText)")
    }
    #expect(!FileManager.default.fileExists(atPath: told))
    #expect(log.messages().map { $0.contains(#"event="failed""#) ? "failed" : "" } == ["", "", "", "", "", ""])

    try await add("erp", "promoted", "exit 1")
    let undelivered = try await untold("rotate erp --replace-previous --json")
    expectFailure(undelivered, 11, "has not arrived everywhere: promoted: it exited with 1")
    #expect(try String(contentsOfFile: metrics, encoding: .utf8).contains("\nrelatch_run_exit_code 11\n"))
    #expect(log.messages().allSatisfy { $0.contains(#"event="undelivered""#) })
  }

  @Test("A scheduled run whose output fails is finished, and ends with 74")
  func untoldSchedule() async throws {
    let place = try await Workplace()
    try await place.add(
      "crm", policy: ["propagation=0s", "max-age=90d"], ["--created", "2020-01-01T00:00:00Z"])
    let due = ["-c", "exec \"$0\" rotate --due > /dev/full", Programs.relatch]
    expectFailure(try await place.run("/bin/sh", due), 74, "cannot write standard output")
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.pair("crm", "previous") != nil)
  }

  @Test("A hook's output goes to whoever runs the command, and neither to syslog nor to another hook")
  func words() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let log = try LocalSyslog(place.folder.appendingPathComponent("log").path)
    let told = place.folder.path + "/told"
    for (occasion, lines) in [
      ("before", "echo word-before; test -e '\(told)'"), ("promoted", "echo word-promoted; exit 1"),
      ("failed", "cat > '\(told)'"),
    ] {
      let added = try await place.relatch(
        "hook", "add", "crm", "--on", occasion, "--name", occasion, "--", "/bin/sh", "-c", lines)
      #expect(added.code == 0, "\(added.errorText)")
    }
    let vetoed = try await place.relatch("rotate", "crm", "--syslog", log.path)
    #expect(vetoed.code == 75 && vetoed.errorText.contains("its last words: word-before"), "\(vetoed.errorText)")
    try Data().write(to: URL(fileURLWithPath: told))
    let failed = try await place.relatch("rotate", "crm", "--json", "--syslog", log.path)
    #expect(failed.code == 11 && failed.outputText.contains("its last words: word-promoted"), "\(failed.outputText)")
    let messages = log.messages()
    #expect(messages.count == 2 && messages[1].contains("promoted: it exited with 1"), "\(messages)")
    let report = try String(contentsOfFile: told, encoding: .utf8)
    #expect(report.contains("promoted: it exited with 1"), "\(report)")
    #expect((messages + [report]).allSatisfy { !$0.contains("word-") }, "\(messages) \(report)")
  }

  @Test("A syslog daemon that is gone or full is a warning, and the rotation does not wait for it")
  func deafSyslog() async throws {
    let place = try await Workplace(["--apps", "2"])
    try await place.add("crm")
    try await place.add("erp", app: 2)
    let gone = try await place.relatch("rotate", "crm", "--quiet", "--syslog", place.folder.path + "/nobody")
    #expect(gone.code == 0 && gone.errorText.hasPrefix("relatch: warning: syslog accepts no"), "\(gone.errorText)")
    let full = try LocalSyslog(place.folder.appendingPathComponent("full").path)
    try full.fill()
    let rotated = try await place.relatch("rotate", "erp", "nope", "--syslog", full.path)
    #expect(rotated.code == 13 && rotated.outputText.contains("erp: version 2 is active"))
    let warnings = rotated.errorText.split(separator: "\n").filter { $0.contains("warning") }
    #expect(warnings.count == 1, "\(rotated.errorText)")
    for name in ["crm", "erp"] { #expect(try await place.holdsPrimary(name, ofApp: name == "crm" ? 1 : 2)) }
    expectFailure(try await place.relatch("rotate", "crm", "--syslog", "udp://logs.example.com:514"), 64, "--syslog")
  }

  @Test("An identity that systemd passes to the service is not reported as open to others")
  func serviceCredential() async throws {
    let place = try await Workplace()
    // With an access control list, the group bits are its mask.
    #expect(chmod(place.identity.path, 0o440) == 0)
    let folder = ["CREDENTIALS_DIRECTORY": place.folder.path]
    let read = try await place.relatch("read", "admin", environment: folder)
    #expect(read.code == 0 && read.errors.isEmpty, "\(read.errorText)")
    let elsewhere = try await place.relatch("read", "admin", environment: ["CREDENTIALS_DIRECTORY": "/run/other"])
    #expect(elsewhere.code == 0 && elsewhere.errorText.contains("others can read the identity"))
  }
}

/// A socket like that of a syslog daemon.
final class LocalSyslog: Sendable {
  let path: String
  private let descriptor: Int32

  init(_ path: String) throws {
    self.path = path
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
    let bound = Self.withAddress(path) { bind(self.descriptor, $0, $1) }
    try #require(bound == 0, "\(String(cString: strerror(errno)))")
  }

  deinit { close(descriptor) }

  private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }

  /// Every message that arrived.
  func messages() -> [String] {
    var messages: [String] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let count = recv(descriptor, &buffer, buffer.count, 0), count > 0 {
      messages.append(String(decoding: buffer[..<count], as: UTF8.self))
    }
    return messages
  }

  /// Sends to itself until it accepts no more.
  func fill() throws {
    let sender = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
    defer { close(sender) }
    try #require(Self.withAddress(path) { connect(sender, $0, $1) } == 0)
    let bytes = [UInt8](repeating: 0x78, count: 1024)
    while send(sender, bytes, bytes.count, 0) == bytes.count {}
    #expect(errno == EAGAIN)
  }
}
