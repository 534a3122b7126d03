import Contracts
import Foundation
import Testing

/// Who acts, and how a passphrase gets to the program.
@Suite("An identity")
struct IdentityTests {
  /// Runs with `passphrases`, one on each line, on descriptor 3.
  private func run(
    _ place: Workplace, _ arguments: [String], _ passphrases: [String], environment: [String: String] = [:]
  ) async throws -> Outcome {
    let file = place.folder.appendingPathComponent("passphrases")
    try Data(passphrases.map { $0 + "\n" }.joined().utf8).write(to: file)
    return try await place.run(
      "/bin/sh",
      ["-c", "exec 3<\"$0\"; exec \"$@\"", file.path, Programs.relatch] + arguments + ["--passphrase-fd", "3"],
      environment: environment)
  }

  @Test("is made once, and its card is that of the owner in a vault made with it")
  func card() async throws {
    let place = try await Workplace()
    let own = ["RELATCH_IDENTITY": place.folder.path + "/new/id", "RELATCH_VAULT": place.folder.path + "/theirs"]
    let made = try await place.relatch("identity", "new", "--no-passphrase", "--name", "cron@host", environment: own)
    #expect(made.code == 0)
    let shown = try await place.relatch("identity", "show", "--name", "cron@host", environment: own)
    #expect(shown.code == 0 && shown.output == made.output)
    let card = try #require(
      JSONSerialization.jsonObject(with: made.output) as? [String: String], "\(made.outputText)")
    #expect(card.keys.sorted() == ["age", "name", "signing"] && card["name"] == "cron@host")
    #expect(try await place.relatch("init", environment: own).code == 0)
    let log = try await place.relatch("log", "list", "--json", environment: own.merging(Workplace.outsider) { $1 })
      .outputText
    for part in ["age", "signing"] { #expect(try log.contains(#require(card[part]))) }
    let again = try await place.relatch("identity", "new", "--no-passphrase", environment: own)
    expectFailure(again, 64)
    #expect(try await place.relatch("identity", "show", "--name", "cron@host", environment: own).output == made.output)
    // The name that it was made with, also behind a passphrase, until another is given.
    func name() async throws -> String? {
      let shown = try await place.relatch("identity", "show", environment: own)
      return try (JSONSerialization.jsonObject(with: shown.output) as? [String: String])?["name"]
    }
    #expect(try await name() == "cron@host")
    let file = try String(contentsOfFile: try #require(own["RELATCH_IDENTITY"]), encoding: .utf8)
    #expect(file.contains("\n# name: cron@host\n"), "age-keygen's form")
    #expect(try await run(place, ["identity", "protect"], ["a long passphrase"], environment: own).code == 0)
    let protected = try await run(place, ["identity", "show"], ["a long passphrase"], environment: own)
    #expect(protected.outputText.contains(#""name":"cron@host""#), "\(protected.errorText)")
    let renamed = try await run(
      place, ["identity", "protect", "--no-passphrase", "--name", "bo"], ["a long passphrase"], environment: own)
    #expect(renamed.code == 0, "\(renamed.errorText)")
    #expect(try await name() == "bo")
    let bad = ["RELATCH_IDENTITY": place.folder.path + "/bad"]
    #expect(try await place.relatch("identity", "new", "--no-passphrase", "--name", "a b", environment: bad).code == 64)
    #expect(!FileManager.default.fileExists(atPath: place.folder.path + "/bad"))
    let nameless = file.replacingOccurrences(of: "# name: cron@host", with: "# name: ../x")
    try nameless.write(toFile: try #require(own["RELATCH_IDENTITY"]), atomically: true, encoding: .utf8)
    #expect(try await name()?.contains("@") == true)
  }

  @Test("is neither made nor changed if its card would have no valid name, and the hint says how to give it one")
  func nameless() async throws {
    let place = try await Workplace()
    let user = ["LOGNAME": #"DOM\user"#]
    let (own, new) = (try Data(contentsOf: place.identity), place.folder.path + "/new")
    let made = try await place.relatch("identity", "new", "--no-passphrase", "--identity", new, environment: user)
    let shown = try await place.relatch("identity", "show", environment: user)
    let protected = try await run(place, ["identity", "protect"], ["a long passphrase"], environment: user)
    for outcome in [made, shown, protected] {
      expectFailure(outcome, 64, #"DOM\\user@"#)
      #expect(outcome.errorText.contains("hint: give another name for the card: --name NAME"), "\(outcome.errorText)")
    }
    #expect(!FileManager.default.fileExists(atPath: new))
    #expect(try Data(contentsOf: place.identity) == own)
    let named = try await place.relatch(
      "identity", "new", "--no-passphrase", "--name", "bo", "--identity", new, environment: user)
    #expect(named.code == 0, "\(named.errorText)")
    #expect(try await place.relatch("identity", "show", "--identity", new, environment: user).output == named.output)
  }

  @Test("can get, change and lose a passphrase and stays the same, and a wrong passphrase opens nothing")
  func passphrase() async throws {
    let place = try await Workplace()
    let card = try await place.relatch("identity", "show").output
    let protected = try await run(place, ["identity", "protect"], ["first one"])
    #expect(protected.code == 0 && protected.output == card, "\(protected.errorText)")
    let text = try String(contentsOf: place.identity, encoding: .utf8)
    #expect(text.hasPrefix("-----BEGIN AGE ENCRYPTED FILE-----") && !text.contains("AGE-SECRET-KEY"))
    let mode = try FileManager.default.attributesOfItem(atPath: place.identity.path)[.posixPermissions] as? Int
    #expect(mode == 0o600)
    #expect(try await run(place, ["read", "admin"], ["first one"]).code == 0)
    expectFailure(try await run(place, ["read", "admin"], ["second one"]), 77)
    expectFailure(try await run(place, ["read", "admin"], []), 77, "no passphrase")
    #expect(try await run(place, ["identity", "protect"], ["first one", "second one"]).output == card)
    expectFailure(try await run(place, ["read", "admin"], ["first one"]), 77)
    #expect(try await run(place, ["identity", "protect", "--no-passphrase"], ["second one"]).output == card)
    #expect(try await place.relatch("read", "admin").code == 0)
    let left = try FileManager.default.contentsOfDirectory(atPath: place.folder.path)
    #expect(!left.contains { $0.hasPrefix("identity.") }, "\(left)")
  }

  @Test("prompts for every passphrase before it tries the first, so that nothing typed meanwhile is shown")
  func asked() async throws {
    let place = try await Workplace(addsAdmin: false)
    #expect(try await run(place, ["identity", "protect"], ["the first passphrase"]).code == 0)
    for (old, code) in [("another passphrase", Int32(77)), ("the first passphrase", 0)] {
      let terminal = try PseudoTerminal()
      let running = try Running(
        Programs.relatch, ["identity", "protect"], stdin: nil, environment: place.environment(), in: place.folder,
        terminal: terminal.path)
      let answers = [
        ("passphrase to unlock", old), ("new passphrase to protect", "the second passphrase"),
        ("the same passphrase again", "the second passphrase"),
      ]
      var shown = ""
      for (prompt, answer) in answers {
        shown += terminal.screen(until: prompt)
        terminal.waitForQuiet()
        terminal.type(answer + "\n")
      }
      let outcome = try await running.outcome()
      #expect(outcome.code == code, "\(outcome.errorText)")
      #expect(!(shown + terminal.rest()).contains("second passphrase"))
    }
    #expect(try await run(place, ["identity", "show"], ["the second passphrase"]).code == 0)
  }

  @Test(
    "leaves no copy of its key beside it once it is protected again after a kill, and until then that is told",
    .enabled(if: Programs.strace != nil, "strace is not installed"))
  func killed() async throws {
    let place = try await Workplace()
    let card = try await place.relatch("identity", "show").output
    let calls = "fsync,fdatasync,rename,renameat,renameat2"
    func beside() throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: place.folder.path).filter { $0.hasPrefix("identity.") }
    }
    var (point, left, wasKilled) = (0, 0, true)
    while wasKilled, point < 30 {
      point += 1
      let killed = try await place.run(
        Programs.strace ?? "",
        [
          "-f", "-o", "/dev/null", "-e", "trace=\(calls)", "-e", "inject=\(calls):signal=KILL:when=\(point)",
          Programs.relatch, "identity", "protect", "--no-passphrase",
        ])
      wasKilled = killed.code == -SIGKILL
      if try !beside().isEmpty {
        left += 1
        let read = try await place.relatch("read", "admin")
        #expect(read.code == 0 && read.errorText.contains("an interrupted `relatch identity protect`"), "\(point)")
      }
      let again = try await place.relatch("identity", "protect", "--no-passphrase")
      #expect(again.code == 0 && again.output == card, "\(again.errorText)")
      #expect(try beside().isEmpty, "point \(point)")
    }
    #expect(left > 0 && !wasKilled)
  }

  @Test("behind a symbolic link is protected in its place, and no open copy is left")
  func link() async throws {
    let place = try await Workplace(addsAdmin: false)
    let link = place.folder.appendingPathComponent("link")
    try FileManager.default.createSymbolicLink(at: link, withDestinationURL: place.identity)
    let environment = ["RELATCH_IDENTITY": link.path]
    #expect(try await run(place, ["identity", "protect"], ["passphrase"], environment: environment).code == 0)
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link.path) == place.identity.path)
    #expect(try String(contentsOf: place.identity, encoding: .utf8).hasPrefix("-----BEGIN AGE ENCRYPTED FILE-----"))
  }

  @Test("takes its passphrase from a service's credentials, never from the environment, and reports what is wrong")
  func sources() async throws {
    let place = try await Workplace()
    #expect(try await run(place, ["identity", "protect"], ["of the service"]).code == 0)
    let credentials = place.folder.appendingPathComponent("credentials")
    try FileManager.default.createDirectory(at: credentials, withIntermediateDirectories: true)
    let service = ["CREDENTIALS_DIRECTORY": credentials.path]
    try Data("of the service\n".utf8).write(to: credentials.appendingPathComponent("relatch-passphrase"))
    #expect(try await place.relatch("read", "admin", environment: service).code == 0)
    let exposed = try await place.relatch("read", "admin", environment: ["RELATCH_PASSPHRASE": "of the service"])
    expectFailure(exposed, 64, "--passphrase-fd")
    #expect(!exposed.errorText.contains("of the service"))
    expectFailure(try await place.relatch("read", "admin", "--passphrase-fd", "9"), 77, "descriptor 9")
    let long = try await run(place, ["read", "admin"], [String(repeating: "x", count: 2000)])
    expectFailure(long, 77, "more than 1024")
  }

  @Test("is unlocked for a login session and a time, until it is locked or its passphrase changes")
  func unlock() async throws {
    let place = try await Workplace()
    #expect(try await run(place, ["identity", "protect", "--name", "carol"], ["first one"]).code == 0)
    // Without a terminal, where nobody could type a passphrase.
    func opens(in session: [String] = []) async throws -> Bool {
      let read = [Programs.relatch, "read", "admin"]
      let outcome = try await place.run(Programs.setsid ?? "", ["--wait"] + session + read)
      if outcome.code != 0 { expectFailure(outcome, 77, "there is no terminal") }
      return outcome.code == 0
    }
    #expect(try await !opens(), "off unless asked for")
    expectFailure(try await run(place, ["identity", "unlock", "--for", "8d"], ["first one"]), 64, "from 1s to 7d")
    let unlocked = try await run(place, ["identity", "unlock", "--json"], ["first one"])
    guard !unlocked.errorText.contains("keyring") else {
      return print("skipped: the kernel's keyring cannot be used here: \(unlocked.errorText)")
    }
    #expect(try unlocked.objects().first?["unlocked_for"] as? Int == 3600, "\(unlocked.errorText)")
    #expect(try await opens())
    #expect(try await place.relatch("identity", "show", "--json").objects().first?["name"] as? String == "carol")
    // If a passphrase is given, it is the one that counts.
    expectFailure(try await run(place, ["read", "admin"], ["second one"]), 77)

    #if arch(arm64)
      let keyctl = 219
    #else
      let keyctl = 250
    #endif
    let join = """
      import ctypes, os, sys
      ctypes.CDLL(None).syscall(\(keyctl), 1, None)
      os.execv(sys.argv[1], sys.argv[1:])
      """
    let elsewhere = [try #require(Programs.python), "-c", join]
    #expect(try await !opens(in: elsewhere), "another session of the same user")
    let listed = try await place.run(elsewhere[0], Array(elsewhere[1...]) + ["/bin/cat", "/proc/keys"])
    #expect(listed.code == 0 && !listed.outputText.contains("relatch:"))

    #expect(try await place.relatch("identity", "lock").code == 0)
    #expect(try await !opens())
    #expect(try await place.relatch("identity", "lock").outputText.contains("was not unlocked"))

    #expect(try await run(place, ["identity", "unlock"], ["first one"]).code == 0)
    #expect(try await run(place, ["identity", "protect"], ["first one", "second one"]).code == 0)
    #expect(try await !opens(), "another passphrase")

    #expect(try await run(place, ["identity", "unlock", "--for", "1s"], ["second one"]).code == 0)
    var isOpen = true
    for _ in 1...100 where isOpen { isOpen = try await opens() }
    #expect(!isOpen, "the time is over")
  }
}
