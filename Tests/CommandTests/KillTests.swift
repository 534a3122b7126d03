import Foundation
import Testing

@Suite(
  "Killed at any point, the same command finishes", .serialized,
  .enabled(if: Programs.strace != nil, "strace is not installed"))
struct KillTests {
  /// The program is killed at the N-th of these system calls: those that make a record durable, and those of the
  /// network.
  static let calls = ["fdatasync,fsync", "sendto", "recvfrom"]

  @Test("A rotation", arguments: calls)
  func rotation(_ calls: String) async throws {
    // The harder reading: promotion ends the old pair at once, so that at some points only the staged one is accepted.
    let sweep = try await KillSweep("rotate", calls, ["--reading", "replacedPairLivesOn=false"])
    guard let reached = try await sweep.run() else { return }
    if calls == Self.calls[0] {
      #expect(
        Set([
          // The last of each transaction.
          "rotation.begun", "rotation.stage.intended", "rotation.validate.intended", "rotation.validated",
          "rotation.promote.intended", "rotation.verify.intended", "rotation.verified",
        ]).isSubset(of: reached), "\(reached)")
    }
  }

  @Test("The retirement of the replaced pair", arguments: calls)
  func retirement(_ calls: String) async throws {
    let sweep = try await KillSweep("retire", calls, [])
    guard let reached = try await sweep.run() else { return }
    if calls == Self.calls[0] {
      #expect(
        Set([
          "rotation.retire.intended", "rotation.prove.intended", "rotation.refused",
        ]).isSubset(of: reached), "\(reached)")
    }
  }
}

/// One command killed at its first such system call, its second, and so on, each time with its own app and vault.
struct KillSweep {
  private let verb: String
  private let calls: String
  private let points: PointSweep
  private var place: Workplace { points.place }

  init(_ verb: String, _ calls: String, _ simulatorArguments: [String]) async throws {
    self.verb = verb
    self.calls = calls
    points = try await PointSweep(simulatorArguments)
  }

  /// The newest log entry at each point reached; nil if processes cannot be traced here.
  func run() async throws -> Set<String>? {
    guard let reached = try await points.run(at) else { return nil }
    print("kill points of \(verb) at \(calls): \(reached.count)")
    #expect(reached.count >= 7)
    return Set(reached)
  }

  /// Kills the command at the `point`-th call, then finishes its work. Nil if it ended before that call.
  @Sendable private func at(_ point: Int) async throws -> String? {
    let name = "app\(point)"
    let environment = try await points.copy(for: point, adding: name)
    func relatch(_ arguments: String...) async throws -> Outcome {
      try await place.run(Programs.relatch, arguments, environment: environment)
    }
    if verb == "retire" { #expect(try await relatch("rotate", name).code == 0) }

    let injection = "inject=\(calls):signal=KILL:when=\(point)"
    let killed = try await place.run(
      Programs.strace ?? "",
      ["-f", "-o", "/dev/null", "-e", "trace=\(calls)", "-e", injection, Programs.relatch, verb, name],
      environment: environment)
    let wasKilled = killed.code == -SIGKILL
    if !wasKilled { #expect(killed.code == 0, "point \(point): \(killed.errorText)") }

    let status = try await relatch("status", name)
    // Who retires the pair ends its grace: from then on it is overdue.
    #expect(
      status.code == 0 || verb == "retire" && wasKilled && status.code == 12, "point \(point): \(status.errorText)")
    #expect(try await relatch("log", "verify").code == 0, "point \(point)")
    let last =
      try await relatch("log", "list", "--identity", "/nonexistent").outputText.split(separator: "\n").last ?? ""
    var isAnyAccepted = false
    for stage in ["active", "staged", "previous"] where !isAnyAccepted {
      if let pair = try await place.pair(name, stage, environment: environment) {
        isAnyAccepted = try await place.org.accepts(pair)
      }
    }
    #expect(isAnyAccepted, "point \(point): the vault holds an accepted pair")

    if wasKilled {
      let again = try await relatch(verb, name)
      // Killed after everything was done and the lease given back: a rotation then reports that the next one is not due
      // yet.
      let wasDone = verb == "rotate" && last.contains("  rotation.verified  ") && again.code == 75
      #expect(
        again.code == 0 || wasDone && again.errorText.contains("is left alone until"),
        "point \(point) after \(last): \(again.errorText)")
    }
    let primary = try await place.org.primary(ofApp: point)
    #expect(try await place.pair(name, environment: environment) == primary, "point \(point)")
    #expect(try await place.org.accepts(primary), "point \(point)")
    let shown = try await relatch("show", name).outputText
    #expect(shown.contains("version   2 active"), "point \(point) after \(last): \(shown)")
    return wasKilled
      ? last.split(separator: " ", omittingEmptySubsequences: true).dropFirst(3).first.map(String.init) : nil
  }
}
