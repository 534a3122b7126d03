import Foundation
import Testing

@Suite(
  "If it is killed at any point, a change of who can open the vault has happened or has not", .serialized,
  .enabled(if: Programs.strace != nil, "strace is not installed"))
struct MemberKillTests {
  /// The system calls that make files durable, name them, and remove them.
  private static let calls = "fdatasync,fsync,link,linkat,rename,renameat,renameat2,unlink,unlinkat"

  @Test("The removal of an owner, and a new vault key", arguments: [["member", "remove", "anna"], ["rekey"]])
  func killed(command: [String]) async throws {
    let sweep = try await PointSweep()
    let place = sweep.place
    try await place.add("crm")
    try await place.addMember("anna", "owner")
    try await place.addMember("cron", "operator", grants: ["crm"])
    let pair = try await place.org.primary()
    let before = try await place.relatch("log", "list", environment: Workplace.outsider).outputText.split(
      separator: "\n"
    ).count
    let reached = try await sweep.run { point -> Bool? in
      let own = try sweep.copy(for: point)
      func relatch(_ arguments: [String], by member: String? = nil) async throws -> Outcome {
        guard let member else { return try await place.run(Programs.relatch, arguments, environment: own) }
        let theirs = ["RELATCH_IDENTITY": place.folder.path + "/identity-\(member)"]
        let state = ["XDG_STATE_HOME": place.folder.path + "/state-\(point)-\(member)"]
        return try await place.run(
          Programs.relatch, arguments, environment: own.merging(theirs) { $1 }.merging(state) { $1 })
      }
      let killed = try await place.run(
        Programs.strace ?? "",
        [
          "-f", "-o", "/dev/null", "-e", "trace=\(Self.calls)", "-e", "inject=\(Self.calls):signal=KILL:when=\(point)",
          Programs.relatch,
        ] + command, environment: own)
      let wasKilled = killed.code == -SIGKILL
      if !wasKilled { #expect(killed.code == 0, "point \(point): \(killed.errorText)") }

      #expect(try await relatch(["log", "verify"]).code == 0, "point \(point)")
      let log = try await relatch(["log", "list", "--identity", "/nonexistent"]).outputText
      let hasHappened = log.split(separator: "\n").count > before
      let read = try await relatch(["read", "crm"])
      #expect(read.line == pair.document, "point \(point): \(read.errorText)")
      #expect(try await relatch(["read", "crm"], by: "cron").line == pair.document, "point \(point)")
      let isRemoval = command.count > 1
      let annas = try await relatch(["read", "crm"], by: "anna")
      #expect(annas.code == (hasHappened && isRemoval ? 77 : 0), "point \(point): \(annas.errorText)")
      let plan = try await relatch(["plan", "--due", "--offline"]).outputText
      #expect(plan.contains("exposed to anna") == (hasHappened && isRemoval), "point \(point): \(plan)")

      let again = try await relatch(command)
      #expect(again.code == (hasHappened && isRemoval ? 66 : 0), "point \(point): \(again.errorText)")
      #expect(try await relatch(["rekey"]).code == 0, "point \(point)")
      let keys = try FileManager.default.contentsOfDirectory(atPath: place.folder.path + "/vault-\(point)/keys")
      #expect(keys.count == 1, "point \(point): \(keys)")
      #expect(try await relatch(["read", "crm"]).line == pair.document, "point \(point)")
      return wasKilled ? hasHappened : nil
    }
    guard let reached else { return }
    print("kill points of \(command.joined(separator: " ")): \(reached.count)")
    #expect(reached.count >= 4 && Set(reached) == [true, false], "\(reached)")
  }
}
