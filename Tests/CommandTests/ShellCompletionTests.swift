import Foundation
import Testing

@Suite("A shell completes")
struct ShellCompletionTests {
  /// What bash offers where the last of `words` is being typed, in its order.
  private func offered(
    in place: Workplace, _ words: String..., environment: [String: String] = [:]
  ) async throws -> [String] { try await offered(in: place, words, environment: environment) }

  private func offered(
    in place: Workplace, _ words: [String], environment: [String: String] = [:]
  ) async throws -> [String] {
    let generated = try await place.relatch("--generate-completion-script", "bash")
    let script = place.folder.appendingPathComponent("relatch.bash")
    try generated.output.write(to: script)
    // What bash itself sets before it calls the function that the script registers for `relatch`.
    let asking = """
      source "$1"; shift
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
      _relatch relatch "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
      printf '%s\\n' "${COMPREPLY[@]}"
      """
    let outcome = try await place.run(
      "/bin/bash", ["-c", asking, "bash", script.path, Programs.relatch] + words, environment: environment)
    #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome.errorText)")
    return outcome.outputText.split(separator: "\n").map(String.init)
  }

  @Test("names of credentials, members and providers, with nothing unlocked, logged or remembered")
  func names() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let log = try await place.relatch("log", "list", environment: Workplace.outsider).output
    let unlocked = ["RELATCH_IDENTITY": "/nonexistent", "XDG_STATE_HOME": place.folder.path + "/state"]
    #expect(try await offered(in: place, "read", "c", environment: unlocked) == ["crm"])
    #expect(try await offered(in: place, "status", "crm", "", environment: unlocked) == ["admin", "crm"])
    #expect(try await offered(in: place, "settings", "crm", "--admin", "a", environment: unlocked) == ["admin"])
    #expect(try await offered(in: place, "grant", "crm", "", environment: unlocked) == ["owner"])
    #expect(try await offered(in: place, "add", "new", "--provider", "okt", environment: unlocked) == ["okta"])
    #expect(!FileManager.default.fileExists(atPath: place.folder.path + "/state"))
    #expect(try await place.relatch("log", "list", environment: Workplace.outsider).output == log)
  }

  @Test("the words that an option takes, tags, and the sinks and hooks of the credential in the line")
  func words() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: ["tags=nightly,sales"])
    #expect(try await place.relatch("sink", "add", "crm", place.folder.path + "/pair.json").code == 0)
    #expect(try await place.relatch("hook", "add", "crm", "--on", "promoted", "--", "/bin/true").code == 0)
    let unlocked = ["RELATCH_IDENTITY": "/nonexistent", "XDG_STATE_HOME": place.folder.path + "/state"]
    for (line, words) in [
      (["read", "crm", "--stage", ""], ["active", "previous", "staged"]),
      (["hook", "add", "crm", "--on", ""], ["before", "failed", "promoted"]),
      (["member", "add", "card", "--role", ""], ["auditor", "operator", "owner"]),
      (["rotate", "--tag", ""], ["nightly", "sales"]), (["revoke", "--tag", "n"], ["nightly"]),
      (["sink", "remove", "crm", ""], ["pair.json"]), (["hook", "remove", "crm", ""], ["true"]),
    ] {
      #expect(try await offered(in: place, line, environment: unlocked).sorted() == words, "\(line)")
    }
    #expect(!FileManager.default.fileExists(atPath: place.folder.path + "/state"))
  }

  @Test("no name that it would run, whoever wrote it into the vault")
  func hostile() async throws {
    let place = try await Workplace()
    let mark = place.folder.appendingPathComponent("mark")
    let plant = """
      import sqlite3, sys
      store = sqlite3.connect(sys.argv[1])
      row = store.execute("SELECT value FROM credentials").fetchone()[0]
      for name in sys.argv[2:]: store.execute("INSERT INTO credentials VALUES (?, ?)", (name.encode(), row))
      store.commit()
      """
    let names = ["$(touch \(mark.path))", "`touch \(mark.path)`", "a;touch${IFS}\(mark.path)", "a\nb", "good"]
    let planted = try await place.run(
      try #require(Programs.python), ["-c", plant, place.vault.appendingPathComponent("vault.db").path] + names)
    #expect(planted.code == 0, "\(planted.errorText)")
    #expect(try await offered(in: place, "show", "") == ["admin", "good"])
    #expect(!FileManager.default.fileExists(atPath: mark.path))
  }

  @Test("names from the vault that the line names")
  func anotherVault() async throws {
    let place = try await Workplace()
    let elsewhere = ["RELATCH_VAULT": "/nonexistent"]
    #expect(try await offered(in: place, "read", "", environment: elsewhere) == [])
    #expect(try await offered(in: place, "read", "--vault", "~/vault", "", environment: elsewhere) == ["admin"])
    for words in [[place.vault.path], ["=", place.vault.path], ["'\(place.vault.path)'"]] {
      #expect(try await offered(in: place, ["status", "--vault"] + words + [""], environment: elsewhere) == ["admin"])
    }
    #expect(try await offered(in: place, "exec", "--", "x", "--vault", "~/vault", "", environment: elsewhere) == [])
  }

  @Test("nothing from a damaged vault, and without an error")
  func damaged() async throws {
    let place = try await Workplace()
    try Data("no database".utf8).write(to: place.vault.appendingPathComponent("vault.db"))
    #expect(try await offered(in: place, "read", "") == [])
  }
}
