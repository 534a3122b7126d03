import Foundation
import Testing

@Suite(
  "A handoff on a machine that fails", .serialized, .enabled(if: Programs.strace != nil, "strace is not installed"))
struct HandoffFaultTests {
  /// The system calls that write the database and the file, make them durable, and name them.
  private static let calls = ["pwrite64", "fdatasync,fsync,link,linkat,rename"]

  /// Runs `body` with strace's options to kill at each third write, and at each of the other calls, until it reports
  /// that the command ended before that point.
  private func eachPoint(_ body: (_ point: String, _ options: [String]) async throws -> Bool) async throws {
    for (set, step) in zip(Self.calls, [3, 1]) {
      for number in stride(from: 1, to: 100, by: step) {
        let options = ["-f", "-o", "/dev/null", "-e", "trace=\(set)", "-e", "inject=\(set):signal=KILL:when=\(number)"]
        guard try await body("\(set.prefix(6))-\(number)", options) else { break }
      }
    }
  }

  private func isTraceable(_ teams: TwoTeams) async throws -> Bool {
    let probe = try await teams.place.run(Programs.strace ?? "", ["-f", "-o", "/dev/null", "/bin/true"])
    if probe.code != 0 { print("skipped: processes cannot be traced here: \(probe.errorText)") }
    return probe.code == 0
  }

  /// A copy of the receiving team's place as it was, for one trial.
  private func copy(_ teams: TwoTeams, _ number: String) throws -> [String: String] {
    let folder = teams.place.folder.path
    let vault = folder + "/vault-b-\(number)"
    try FileManager.default.copyItem(atPath: folder + "/vault-b", toPath: vault)
    return teams.theirs.merging(["RELATCH_VAULT": vault, "XDG_STATE_HOME": folder + "/state-b-\(number)"]) { $1 }
  }

  @Test(
    "whose opening is killed at any point is imported or not; once imported, it gives its receipt and loses nothing")
  func killed() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    guard try await isTraceable(teams) else { return }
    try await place.add("crm")
    let pair = try await place.org.primary()
    let file = try await teams.send("crm")
    var found: [String] = []
    try await eachPoint { point, options in
      let own = try copy(teams, point)
      let receipt = teams.path("receipt-\(point)")
      let killed = try await place.run(
        Programs.strace ?? "",
        options + [
          Programs.relatch, "handoff", "open", file, "--admin", "admin", "--from", teams.key, "-o", receipt,
        ], environment: own)
      if killed.code != -SIGKILL {
        #expect(killed.code == 0, "point \(point): \(killed.errorText)")
        return false
      }
      func relatch(_ arguments: String...) async throws -> Outcome {
        try await place.run(Programs.relatch, arguments, environment: own)
      }
      #expect(try await relatch("log", "verify").code == 0, "point \(point)")
      let isImported = try await teams.events(own) == ["handoff.opened"]
      let isWritten = FileManager.default.fileExists(atPath: receipt)
      #expect(isImported || !isWritten, "point \(point)")
      let again = try await relatch(
        "handoff", "open", file, "--admin", "admin", "--from", teams.key, "-o", receipt + ".2")
      #expect(again.code == (isImported ? 77 : 0), "point \(point): \(again.errorText)")
      let receipts = try await relatch("handoff", "receipt", file)
      #expect(receipts.code == 0, "point \(point): \(receipts.errorText)")
      if isWritten { #expect(try String(contentsOfFile: receipt, encoding: .utf8) == receipts.outputText) }
      #expect(try await place.relatch("handoff", "confirm", "-", stdin: receipts.outputText).code == 0)
      #expect(try await place.pair("crm", environment: own) == pair, "point \(point)")
      found.append(isWritten ? "written" : isImported ? "imported" : "nothing")
      return true
    }
    print("kill points of handoff open: \(found)")
    #expect(Set(found).isSuperset(of: ["nothing", "imported"]), "\(found)")
  }

  @Test("whose sending is killed at any point is handed over or not, never with part of a file, and can be withdrawn")
  func killedSender() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    guard try await isTraceable(teams) else { return }
    var found: Set<Bool> = []
    try await place.add("crm")
    try await eachPoint { point, options in
      let file = teams.path("sent-\(point)")
      let killed = try await place.run(
        Programs.strace ?? "",
        options + [
          Programs.relatch, "handoff", "send", "crm", "--to", teams.card, "--transfer", "-o", file,
        ])
      let isHandedOver = try await place.relatch("status", "crm").outputText.contains("no longer rotated here")
      if isHandedOver { #expect(try await place.relatch("handoff", "withdraw", "crm").code == 0, "point \(point)") }
      if FileManager.default.fileExists(atPath: file) {
        let text = try String(contentsOfFile: file, encoding: .utf8)
        #expect(isHandedOver && text.hasSuffix("AGE ENCRYPTED FILE-----\n"))
      }
      #expect(try await place.logIsIntact())
      if killed.code == -SIGKILL { found.insert(isHandedOver) }
      return killed.code == -SIGKILL
    }
    #expect(found == [true, false])
    #expect(try await place.relatch("rotate", "crm").code == 0)
  }

  @Test("without room for the log ends with 74 and sends or imports nothing; a receipt without room can be had later")
  func full() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    guard try await isTraceable(teams) else { return }
    try await place.add("crm")
    let file = try await teams.send("crm")
    func fail(_ call: String, _ path: String, _ arguments: [String], _ environment: [String: String]) async throws
      -> Outcome
    {
      try await place.run(
        Programs.strace ?? "",
        [
          "-f", "-o", "/dev/null", "-P", path, "-e", "trace=\(call)", "-e", "inject=\(call):error=ENOSPC",
          Programs.relatch,
        ]
          + arguments, environment: environment)
    }
    let log = "pwrite64"
    let unsent = try await fail(
      log, place.vault.path + "/vault.db-wal", ["handoff", "send", "crm", "--to", teams.card, "-o", teams.path("x")],
      [:])
    expectFailure(unsent, 74)
    #expect(!FileManager.default.fileExists(atPath: teams.path("x")))
    let unopened = try await fail(
      log, teams.path("vault-b/vault.db-wal"),
      ["handoff", "open", file, "--admin", "admin", "--from", teams.key, "-o", teams.path("r")],
      teams.theirs)
    expectFailure(unopened, 74)
    #expect(try await teams.events(teams.theirs).isEmpty && !FileManager.default.fileExists(atPath: teams.path("r")))
    // Fails in the receipt's folder, not in the vault's.
    let folder = teams.path("receipts")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let lost = try await place.run(
      Programs.strace ?? "",
      [
        "-f", "-o", "/dev/null", "-e", "trace=linkat,link", "-e", "inject=linkat,link:error=ENOSPC", Programs.relatch,
        "handoff",
        "open", file, "--admin", "admin", "--from", teams.key, "-o", folder + "/r",
      ], environment: teams.theirs)
    #expect(
      lost.code == 74 && lost.errorText.contains("is imported, but its receipt is not written"), "\(lost.errorText)")
    #expect(try await teams.theirs("handoff", "receipt", file, "-o", folder + "/r").code == 0)
    #expect(try await place.relatch("handoff", "confirm", folder + "/r").code == 0)
    try await teams.expectIntact()
  }
}

@Suite("Several imports of one handoff at once")
struct HandoffRaceTests {
  @Test("make one credential, and the others learn that, whatever name they give it")
  func race() async throws {
    let teams = try await TwoTeams(["--apps", "4"])
    let place = teams.place
    for round in 1...4 {
      try await place.add("crm\(round)", app: round)
      let file = try await teams.send("crm\(round)")
      let runs = try (1...6).map { number in
        try place.start(
          arguments: [
            "handoff", "open", file, "--admin", "admin", "--from", teams.key, "--as",
            number % 2 == 0 ? "c\(round)" : "c\(round)-\(number)",
          ],
          environment: teams.theirs)
      }
      var codes: [Int32] = []
      for run in runs { codes.append(try await run.outcome().code) }
      #expect(codes.filter { $0 == 0 }.count == 1 && codes.allSatisfy { [0, 77].contains($0) }, "\(codes)")
    }
    #expect(try await teams.events(teams.theirs).count == 4)
    try await teams.expectIntact()
  }
}
