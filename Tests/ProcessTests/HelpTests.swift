import ArgumentParser
import Testing
import Vault

@testable import relatch

@Suite("Help")
struct HelpTests {
  @Test("for the rotation rules puts each rule in one column and its meaning in another on an 80-column terminal")
  func policy() throws {
    let lines = Relatch.helpMessage(for: PolicyCommand.self, columns: 80).split(separator: "\n")
    let first = try #require(lines.firstIndex { $0.hasPrefix("  max-age ") })
    let table = lines[first...].prefix { !$0.hasPrefix("EXAMPLES") }
    let keys = table.filter { !$0.hasPrefix("    ") }.map { $0.split(separator: " ")[0] }
    #expect(keys == Policy.keys.map { $0.key[...] })
    let longest = try #require(Policy.keys.map(\.key.count).max())
    for line in table {
      #expect(line.count <= 80)
      #expect(line.dropFirst(2 + longest).hasPrefix("  ") && line.dropFirst(4 + longest).first != " ", "\(line)")
    }
    let meanings = table.map { $0.dropFirst(4 + longest) }.joined(separator: " ")
    #expect(meanings == Policy.keys.map(\.meaning).joined(separator: " "))
  }

  @Test("for every verb fits an 80-column terminal, and no line ends in blanks")
  func columns() throws {
    var left: [any ParsableCommand.Type] = [Relatch.self]
    var count = 0
    while let command = left.popLast() {
      left += command.configuration.subcommands
      count += 1
      let name = command.configuration.commandName ?? ""
      for line in Relatch.helpMessage(for: command, columns: 80).split(separator: "\n") {
        // The parser does not break this line.
        guard !line.hasPrefix("USAGE: ") else { continue }
        #expect(line.count <= 80 && line.last != " ", "\(name): \(line)")
      }
    }
    #expect(count > 50)
  }
}

@Suite("The help and the completion scripts")
struct OfferTests {
  @Test("offer --version for the program only, because no verb takes it")
  func version() throws {
    var left: [any ParsableCommand.Type] = [Relatch.self]
    while let command = left.popLast() {
      left += command.configuration.subcommands
      let help = Relatch.helpMessage(for: command, columns: 80)
      #expect(help.contains("--version") == (command == Relatch.self), "\(help)")
    }
    for shell in [CompletionShell.zsh, .fish] {
      #expect(!Relatch.completionScript(for: shell).contains("Show the version"), "\(shell)")
    }
    #expect(!Relatch.completionScript(for: .bash).contains("--version"))
  }
}

@Suite("A command line that is not understood")
struct MistakenArgumentsTests {
  @Test(
    "gets a hint at what may have been meant",
    arguments: [
      ("statsu", "relatch has no command \"statsu\"", "did you mean `relatch status`?"),
      ("rotat crm", "relatch has no command \"rotat\"", "did you mean `relatch rotate`?"),
      ("help foo", "relatch has no command \"foo\"", "`relatch help` lists the commands"),
      ("sink foo", "relatch sink has no command \"foo\"", "it has add, list, remove"),
      ("log witnes add", "relatch log has no command \"witnes\"", "did you mean `relatch log witness`?"),
    ])
  func unknownVerb(_ line: String, _ error: String, _ hint: String) throws {
    let failure = try #require(MistakenArguments(line.split(separator: " ").map(String.init)).unknownVerb)
    #expect(failure.code == .usage && failure.message == error && failure.hint.contains(hint), "\(failure)")
  }

  @Test(
    "gets the name of the verb whose help to read",
    arguments: [
      ("log witness add x", "log witness add"), ("policy crm --set x", "policy"), ("help revoke", "revoke"),
    ])
  func verb(_ line: String, _ verb: String) {
    let mistaken = MistakenArguments(line.split(separator: " ").map(String.init))
    #expect(mistaken.unknownVerb == nil && mistaken.help == "`relatch help \(verb)` says what it takes")
  }

  @Test("is not answered with help because a word with one dash has an h in it")
  func unmeantHelp() throws {
    func failure(_ line: String) -> Failure? {
      MistakenArguments(line.split(separator: " ").map(String.init)).unmeantHelp
    }
    for line in ["plan -check", "remove -hello", "rotate crm -dash", "exec crm -hx -- ls -h"] {
      let told = try #require(failure(line), "\(line)")
      #expect(told.code == .usage && told.hint.contains("two dashes"), "\(told)")
    }
    for line in ["plan -h", "plan --help", "help plan", "plan -check --help", "status", "exec crm -- ls -lh"] {
      #expect(failure(line) == nil, "\(line)")
    }
  }

  @Test("gets the parser's guess only if it is close")
  func guesses() {
    func message(_ line: String, _ said: String) -> (String, String) {
      let failure = MistakenArguments(line.split(separator: " ").map(String.init)).failure(said, hint: "")
      return (failure.message, failure.hint)
    }
    let far = "Unknown option '--set'. Did you mean '--json'?"
    #expect(message("policy crm --set x", far).0 == "Unknown option '--set'")
    let near = "Unknown option '--jsn'. Did you mean '--json'?"
    #expect(message("policy crm --jsn", near).0 == near)
    let shells = message("--generate-completion-script tcsh", "Can't generate completion scripts for 'tcsh'.\n…")
    #expect(shells.0 == "there is no completion script for this shell" && shells.1.contains("bash, zsh and fish"))
    #expect(message("--vault DIR status", "Unknown option '--vault'").1.contains("`relatch status --vault …`"))
    #expect(message("hook add crm --on promoted true", "Unexpected argument 'true'").1.hasPrefix("put -- before"))
  }
}
