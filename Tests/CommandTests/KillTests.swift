import Foundation
import Testing

@Suite(
  "Killed at any point, the same command finishes", .serialized,
  .enabled(if: Programs.strace != nil, "strace is not installed"))
struct KillTests {
  /// System calls at whose N-th the program is killed: those that make a record durable, and those of the network.
  static let calls = ["fdatasync,fsync", "sendto", "recvfrom"]

  @Test("A rotation", arguments: calls)
  func rotation(_ calls: String) async throws {
    // The harder reading: promotion ends the old pair at once, so that at some points only the staged one is accepted.
    let sweep = try await Sweep("rotate", calls, ["--reading", "replacedPairLivesOn=false"])
    guard let reached = try await sweep.run() else { return }
    if calls == Self.calls[0] {
      #expect(
        Set([
          "rotation.begun", "rotation.stage.intended", "rotation.staged", "rotation.validate.intended",
          "rotation.validated", "rotation.promote.intended", "rotation.promoted", "rotation.verify.intended",
          "rotation.verified",
        ]).isSubset(of: reached), "\(reached)")
    }
  }

  @Test("The retirement of the replaced pair", arguments: calls)
  func retirement(_ calls: String) async throws {
    let sweep = try await Sweep("retire", calls, [])
    guard let reached = try await sweep.run() else { return }
    if calls == Self.calls[0] {
      #expect(
        Set([
          "rotation.retire.intended", "rotation.deleted", "rotation.prove.intended", "rotation.refused",
        ]).isSubset(of: reached), "\(reached)")
    }
  }
}

/// One command killed at its first such system call, its second, and so on, each time with an app and a vault of its own.
struct Sweep {
  private static let most = 90
  /// How many are under way at once.
  private static let width = 4

  private let verb: String
  private let calls: String
  private let place: Workplace

  init(_ verb: String, _ calls: String, _ simulatorArguments: [String]) async throws {
    self.verb = verb
    self.calls = calls
    place = try await Workplace(["--apps", "\(Self.most)"] + simulatorArguments)
  }

  /// The newest log entry of each point reached; nil if nothing can be traced here.
  func run() async throws -> Set<String>? {
    let probe = try await place.run(Programs.strace ?? "", ["-f", "-o", "/dev/null", "/bin/true"])
    guard probe.code == 0 else {
      print("skipped: processes cannot be traced here: \(probe.errorText)")
      return nil
    }
    var reached: [String] = []
    var next = 1
    while next + Self.width <= Self.most {
      let points = next..<next + Self.width
      let found = try await withThrowingTaskGroup(of: String?.self) { group in
        for point in points { group.addTask { try await at(point) } }
        var found: [String?] = []
        for try await event in group { found.append(event) }
        return found
      }
      reached += found.compactMap(\.self)
      next += Self.width
      // Threads count for themselves, so that a late point may be missed once.
      if found.allSatisfy({ $0 == nil }) { break }
    }
    print("kill points of \(verb) at \(calls): \(reached.count)")
    #expect(reached.count >= 8 && next + Self.width <= Self.most)
    return Set(reached)
  }

  /// Kills the command at the `point`-th call and brings it to its end. Nil if it ended before.
  private func at(_ point: Int) async throws -> String? {
    let name = "app\(point)"
    // Many copies of one vault go on side by side, each as its own user sees it.
    let environment = [
      "RELATCH_VAULT": place.folder.path + "/vault-\(point)", "XDG_STATE_HOME": place.folder.path + "/state-\(point)",
    ]
    func relatch(_ arguments: String...) async throws -> Outcome {
      try await place.run(Programs.relatch, arguments, environment: environment)
    }
    try FileManager.default.copyItem(atPath: place.vault.path, toPath: environment["RELATCH_VAULT"] ?? "")
    try await place.add(name, app: point, environment: environment)
    if verb == "retire" { #expect(try await relatch("rotate", name).code == 0) }

    let injection = "inject=\(calls):signal=KILL:when=\(point)"
    let killed = try await place.run(
      Programs.strace ?? "",
      ["-f", "-o", "/dev/null", "-e", "trace=\(calls)", "-e", injection, Programs.relatch, verb, name],
      environment: environment)
    let wasKilled = killed.code == -SIGKILL
    if !wasKilled { #expect(killed.code == 0, "point \(point): \(killed.errorText)") }

    let status = try await relatch("status", name)
    #expect(status.code == 0, "point \(point): \(status.errorText)")
    #expect(try await relatch("log", "verify").code == 0, "point \(point)")
    let last = try await relatch("log", "list").outputText.split(separator: "\n").last ?? ""
    var isAnyAccepted = false
    for stage in ["active", "staged", "previous"] where !isAnyAccepted {
      if let pair = try await place.pair(name, stage, environment: environment) {
        isAnyAccepted = try await place.org.accepts(pair)
      }
    }
    #expect(isAnyAccepted, "point \(point): the vault holds an accepted pair")

    if wasKilled {
      let again = try await relatch(verb, name)
      // Killed after all was done and its lease given back: a rotation says that the next one is not due yet.
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
