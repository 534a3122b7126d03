import Foundation
import Testing

@Suite(
  "A run that is stopped and wakes after its lease was taken over", .serialized,
  .enabled(if: Programs.strace != nil, "strace is not installed"))
struct StoppedTests {
  @Test(
    "ends with 75 and harms nothing, at whatever request or answer it is stopped",
    arguments: ["sendto", "recvfrom"])
  func sweep(call: String) async throws {
    let sweep = try await StopSweep(call)
    guard let found = try await sweep.run() else { return }
    print("processes stopped at \(found.count) points of \(call): \(found.count { $0 }) left a staged pair behind")
    #expect(found.count >= 10)
    // A run stopped between the intent to stage and the request requests a pair that the other run does not know.
    #expect(found.count { $0 } <= 4)
  }
}

/// One command stopped at its first `sendto` or `recvfrom`, its second, and so on: as a request goes out or an answer
/// arrives.
struct StopSweep {
  private let call: String
  private let points: PointSweep
  private var place: Workplace { points.place }

  init(_ call: String) async throws {
    self.call = call
    points = try await PointSweep()
  }

  /// For each point reached, whether a staged pair was left behind; nil if processes cannot be traced here.
  func run() async throws -> [Bool]? { try await points.run(at) }

  @Sendable private func at(_ point: Int) async throws -> Bool? {
    let name = "app\(point)"
    let environment = try await points.copy(for: point, adding: name, policy: ["propagation=0s", "grace=0s"])
    func relatch(_ arguments: String...) async throws -> Outcome {
      try await place.run(Programs.relatch, arguments, environment: environment)
    }

    let trace = place.folder.path + "/trace-\(point)"
    let injection = "inject=\(call):signal=STOP:when=\(point)"
    let first = try place.start(
      Programs.strace ?? "",
      arguments: ["-f", "-o", trace, "-e", "trace=\(call)", "-e", injection, Programs.relatch, "rotate", name],
      environment: environment)
    guard let stopped = try await stoppedProcess(trace, of: first) else {
      #expect(try await first.outcome().code == 0, "point \(point)")
      return nil
    }
    defer { kill(stopped, SIGKILL) }
    let held = try await relatch("resume", name)
    if held.code == 0 {
      // Stopped after its work was done and its lease given back.
      kill(stopped, SIGCONT)
      #expect(try await first.outcome().code == 0, "point \(point)")
      return false
    }
    expectFailure(held, 75, "is held by another run (pid ")

    try await expireLeases(environment)
    let second = try await relatch("resume", name)
    #expect(
      second.code == 0 && second.outputText.contains("version 2 is active"), "point \(point): \(second.errorText)")
    let before = try await relatch("show", name, "--json").outputText
    let seen = try await place.org.requests().count

    kill(stopped, SIGCONT)
    let woken = try await first.outcome()
    expectFailure(woken, 75, "\(name): overtaken by another run")
    let identifier = try await place.org.apps()[point].identifier
    let late = try await place.org.requests().dropFirst(seen).filter { $0.app == identifier && $0.method != "GET" }
    #expect(late.count { $0.path.contains("/staged") } <= 1, "point \(point): \(late)")
    #expect(try await relatch("show", name, "--json").outputText == before, "point \(point)")

    let consumer = try await place.org.consumer(ofApp: point)
    let primary = try #require(consumer.primary)
    #expect(try await place.pair(name, environment: environment) == primary, "point \(point)")
    #expect(try await place.org.grants(primary), "point \(point)")
    #expect(try await relatch("log", "verify").code == 0, "point \(point)")
    if consumer.slot != nil {
      #expect(late.contains { $0.method == "POST" && $0.path.hasSuffix("/staged") }, "point \(point)")
      expectFailure(try await relatch("rotate", name, "--quiet"), 75, "a staged pair that is no version of this")
    }
    return consumer.slot != nil
  }

  /// Waits until the traced process is stopped; nil if it ended.
  private func stoppedProcess(_ trace: String, of tracer: Running) async throws -> pid_t? {
    for _ in 1...3000 {
      let text = (try? String(contentsOfFile: trace, encoding: .utf8)) ?? ""
      let lines = text.split(separator: "\n")
      if let line = lines.first(where: { $0.contains("--- stopped by SIGSTOP") }) {
        return line.split(separator: " ").first.flatMap { pid_t($0) }
      }
      if kill(tracer.pid, 0) != 0 { return nil }
      try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("waited in vain for \(trace)")
    return nil
  }

  /// Makes the leases expire, as five minutes would: `expiry` in vault/storage.md.
  private func expireLeases(_ environment: [String: String]) async throws {
    let sql = """
      UPDATE leases SET value = CAST(substr(value, 1, 8) || x'0000000000000001' || substr(value, 17) AS BLOB)
      """
    let script = """
      import sqlite3, sys
      store = sqlite3.connect(sys.argv[1], timeout=30)
      store.execute(sys.argv[2])
      store.commit()
      """
    let database = (environment["RELATCH_VAULT"] ?? "") + "/vault.db"
    let run = try await place.run(Programs.python ?? "", ["-c", script, database, sql])
    #expect(run.code == 0, "\(run.errorText)")
  }
}
