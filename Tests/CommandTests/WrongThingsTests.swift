import Foundation
import Testing

@Suite("A mistake has a documented code, an error and a hint, and changes nothing")
struct WrongThingsTests {
  @Test("--version after a verb is an error, because a script would take the version for a pair's")
  func version() async throws {
    let place = try await Workplace(addsAdmin: false)
    for arguments in [
      ["read", "crm", "--field", "client_secret", "--version", "3"], ["rotate", "--all", "--version"],
      ["log", "list", "--version"], ["log", "--version"], ["status", "crm", "--version=3"],
    ] {
      let outcome = try await place.run(Programs.relatch, arguments)
      expectFailure(outcome, 64, "has no option --version")
      #expect(outcome.errorText.contains("`relatch --version`"))
    }
    let own = try await place.relatch("--version")
    #expect(own.code == 0 && own.outputText.split(separator: ".").count == 3, "\(own.outputText)")
  }

  @Test("Without a vault every command ends with 66")
  func noVault() async throws {
    let place = try await Workplace(addsAdmin: false)
    let elsewhere = ["RELATCH_VAULT": place.folder.path + "/nowhere"]
    for arguments in [
      ["list"], ["show", "crm"], ["status"], ["read", "crm"], ["rotate", "crm"], ["retire", "crm"], ["log", "list"],
      ["log", "verify"], ["policy", "crm"],
    ] {
      let outcome = try await place.run(Programs.relatch, arguments, environment: elsewhere)
      expectFailure(outcome, 66, "there is no vault at")
    }
    #expect(!FileManager.default.fileExists(atPath: elsewhere["RELATCH_VAULT"] ?? ""))
  }

  @Test("An init that was cut off is continued, but another's file is not taken over")
  func cutOffInit() async throws {
    let place = try await Workplace(addsAdmin: false)
    let folder = place.folder.path + "/cut-off"
    let environment = ["RELATCH_VAULT": folder]
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    #expect(FileManager.default.createFile(atPath: folder + "/vault.db", contents: Data()))
    #expect(try await place.run(Programs.relatch, ["init", "--no-passphrase"], environment: environment).code == 0)
    #expect(try await place.run(Programs.relatch, ["log", "verify"], environment: environment).code == 0)
    expectFailure(try await place.run(Programs.relatch, ["init"], environment: environment), 64, "already")
    let foreign = Data("not a vault".utf8)
    #expect(FileManager.default.createFile(atPath: folder + "/vault.db", contents: foreign))
    expectFailure(try await place.run(Programs.relatch, ["init"], environment: environment), 65, "not a database")
    #expect(FileManager.default.contents(atPath: folder + "/vault.db") == foreign)
  }

  @Test("A name that the vault does not have ends with 66")
  func noCredential() async throws {
    let place = try await Workplace()
    for arguments in [
      ["show", "nope"], ["status", "nope"], ["read", "nope"], ["rotate", "nope"], ["retire", "nope"],
      ["policy", "nope"], ["policy", "nope", "grace=1h"],
    ] {
      expectFailure(try await place.run(Programs.relatch, arguments), 66, #"the vault has no credential "nope""#)
    }
    expectFailure(try await place.relatch("read", "admin", "--stage", "staged"), 66, "admin has no staged version")
  }

  @Test("A missing argument is reported with the verb's usage, a missing file with its path")
  func hints() async throws {
    let place = try await Workplace(addsAdmin: false)
    func hint(_ arguments: [String], _ words: String) async throws {
      let outcome = try await place.run(Programs.relatch, arguments)
      expectFailure(outcome, 64)
      #expect(outcome.errorText.contains("relatch: hint: \(words)\n"), "\(outcome.errorText)")
    }
    try await hint(["read"], "`relatch read <name>`; `relatch help read` says all that it takes")
    try await hint(
      ["sink", "add", "crm"], "`relatch sink add <name> <file>`; `relatch help sink add` says all that it takes")
    try await hint(
      ["revoke", "crm"],
      "`relatch revoke [<names> ...] --reason <text>`; `relatch help revoke` says all that it takes")
    try await hint(["list", "--nope"], "`relatch help list` says what it takes")
    try await hint(["nope"], "`relatch help` lists the commands")
    try await hint(["statsu"], "did you mean `relatch status`? `relatch help` lists the commands")
    let imported = try await place.relatch("add", "crm", "--provider", "salesforce", "--import", "nofile")
    expectFailure(imported, 66, #""nofile""#)
    #expect(imported.errorText.contains("check the path") && !imported.errorText.contains("relatch list"))
  }

  @Test("A wrong, missing, damaged or locked identity is reported")
  func identities() async throws {
    let place = try await Workplace()
    let other = ["RELATCH_VAULT": place.folder.path + "/other", "RELATCH_IDENTITY": place.folder.path + "/stranger"]
    #expect(try await place.relatch("init", "--no-passphrase", environment: other).code == 0)
    func read(_ identity: String) async throws -> Outcome {
      try await place.relatch("read", "admin", "--identity", place.folder.path + "/" + identity)
    }
    func write(_ name: String, _ text: String) throws {
      try Data(text.utf8).write(to: place.folder.appendingPathComponent(name))
    }
    expectFailure(try await read("stranger"), 77, "is not one of this vault's")
    expectFailure(try await read("missing"), 66, "there is no identity")
    expectFailure(try await read("vault"), 66, "cannot read")
    let good = try String(contentsOf: place.identity, encoding: .utf8)
    try write("damaged", good.replacingOccurrences(of: "AGE-SECRET-KEY-1", with: "AGE-SECRET-KEY-1Q"))
    try write("empty", "")
    try write("twice", good + good)
    for name in ["damaged", "empty", "twice"] {
      let outcome = try await read(name)
      expectFailure(outcome, 65, "/\(name)\"")
      // A file that is no identity may have to be readable by others.
      #expect(!outcome.errorText.contains("chmod"), "\(outcome.errorText)")
    }
    #expect(try await place.relatch("read", "admin").code == 0)
  }

  @Test(
    "An identity with a passphrase and no terminal ends with 77",
    .enabled(if: Programs.setsid != nil, "setsid is not installed"))
  func noTerminal() async throws {
    let place = try await Workplace()
    let locked = place.folder.appendingPathComponent("locked")
    try Data(Self.identityWithPassphrase.utf8).write(to: locked)
    let setsid = try #require(Programs.setsid)
    let session = ["--wait", Programs.relatch]
    let read = try await place.run(setsid, session + ["read", "admin", "--identity", locked.path], stdin: "guess\n")
    expectFailure(read, 77, "there is no terminal")
    for verb in ["rotate", "retire"] {
      let run = try await place.run(setsid, session + [verb, "admin", "--quiet", "--identity", locked.path])
      expectFailure(run, 77, "there is no terminal")
    }
    let fresh = ["RELATCH_VAULT": place.folder.path + "/new", "RELATCH_IDENTITY": place.folder.path + "/newid"]
    expectFailure(try await place.run(setsid, session + ["init"], environment: fresh), 77, "there is no terminal")
    #expect(!FileManager.default.fileExists(atPath: place.folder.path + "/new"), "nothing half made is left")
    let made = try await place.run(setsid, session + ["init", "--no-passphrase"], environment: fresh)
    #expect(made.code == 0, "\(made.errorText)")
  }

  @Test("Usage errors end with 64, in our format")
  func usage() async throws {
    let place = try await Workplace()
    for arguments in [
      ["bogus"], ["--bogus"], ["rotate"], ["rotate", "--all", "admin"], ["retire"], ["read"], ["read", "a", "b"],
      ["read", "admin", "--field", "token"], ["read", "admin", "--stage", "retired"], ["add"], ["add", "x"],
      ["policy", "admin", "grace"], ["policy", "admin", "grace=soon"], ["policy", "admin", "color=1d"],
      ["policy", "admin", "grace=1d", "grace=2d"], ["log", "bogus"], ["log", "verify", "--owner", "nonsense"],
      ["init"], ["show", "admin", "--vault"],
    ] {
      expectFailure(try await place.run(Programs.relatch, arguments), 64)
    }
    let twice = try await place.relatch(
      "add", "admin", "--provider", "salesforce", "--set", "url=\(place.org.url)",
      stdin: place.org.primary(ofApp: 0).document)
    expectFailure(twice, 64, "has a credential \"admin\" already")
    for name in ["", "../x", "a b", "a//b", String(repeating: "n", count: 129), "\u{1B}[31m"] {
      let added = try await place.relatch(
        "add", name, "--provider", "salesforce", "--set", "url=\(place.org.url)", stdin: Self.pair)
      expectFailure(added, 64)
      #expect(!added.errorText.contains("\u{1B}"))
    }
    let bogus = try await place.relatch("bogus", "--json")
    #expect(try bogus.code == 64 && bogus.errors.isEmpty && bogus.objects().map { $0["code"] as? Int } == [64])
  }

  @Test("A reader that goes away ends a command quietly, and output without room is an error, even for help")
  func output() async throws {
    let place = try await Workplace()
    for arguments in ["log list", "status", "list", "help", "read admin"] {
      // A pipe whose reader has gone before the command begins.
      let script = "mkfifo p && exec 3<>p 4>p 3<&- && rm p && exec \"$0\" \(arguments) >&4 4>&-"
      let unread = try await place.run(
        "/bin/bash", ["-c", "cd \"$1\" && " + script, Programs.relatch, place.folder.path])
      #expect(unread.code == -SIGPIPE && unread.errors.isEmpty, "\(arguments): \(unread.code) \(unread.errorText)")
    }
    for arguments in ["help", "--version", "status", "list --json", "doctor nope --json"] {
      let full = try await place.run("/bin/sh", ["-c", "exec \"$0\" \(arguments) > /dev/full", Programs.relatch])
      if arguments.hasPrefix("doctor") {
        expectFailure(full, 66, "no credential")
      } else {
        expectFailure(full, 74, "cannot write standard output")
      }
    }
  }

  @Test(
    "A credential that the provider could never work with is refused with 78 before anything is stored",
    arguments: [
      ["url=http://example.com"], ["url=ftp://example.com"], ["url=https://login.salesforce.com"], [],
      ["url=https://a.my.salesforce.com/path"], ["url=https://u:p@a.my.salesforce.com"],
      ["url=https://a.my.salesforce.com", "app=12"], ["url=https://a.my.salesforce.com", "api-version=64.0"],
      ["url=https://a.my.salesforce.com", "colour=red"],
    ])
  func configuration(_ settings: [String]) async throws {
    let place = try await Workplace(addsAdmin: false)
    let options = settings.flatMap { ["--set", $0] }
    let added = try await place.run(
      Programs.relatch, ["add", "x", "--provider", "salesforce"] + options, stdin: Self.pair)
    expectFailure(added, 78)
    #expect(try await place.relatch("list").output.isEmpty)
    expectFailure(try await place.relatch("add", "x", "--provider", "nobody", stdin: Self.pair), 78, "nobody")
  }

  @Test(
    "Standard input that is no pair ends with 65, and is not echoed",
    arguments: [
      "", "hunter2secret", "{", #"{"client_id":"hunter2secret"}"#, #"["hunter2secret"]"#, "null",
      #"{"client_id":"hunter2secret","client_secret":"hunter2secret","x":"hunter2secret"}"#,
      #"{"client_id":"hunter2secret","client_secret":""}"#, #"{"client_id":"a","client_secret":7}"#,
      #"{"client_id":"a","client_id":"hunter2secret","client_secret":"b"}"#,
      #"{"client_id":"a","client_secret":"hunter2secret\n"}"#, #"{"client_id":"a","client_secret":"b"} hunter2secret"#,
      #"{"client_id":"a","client_secret":"hunter2secret"#, #"{"client_id":"hunter2secret\ud800","client_secret":"b"}"#,
      String(repeating: "hunter2secret", count: 6000),
    ])
  func badInput(_ input: String) async throws {
    let place = try await Workplace(addsAdmin: false)
    let added = try await place.relatch(
      "add", "x", "--provider", "salesforce", "--set", "url=\(place.org.url)", stdin: input)
    expectFailure(added, 65, "standard input")
    #expect(!added.errorText.contains("hunter2"))
    #expect(try await place.relatch("list").output.isEmpty)
  }

  private static let pair = #"{"client_id":"a","client_secret":"b"}"#

  /// Made by `relatch init`; its identity belongs to no vault.
  private static let identityWithPassphrase = """
    -----BEGIN AGE ENCRYPTED FILE-----
    YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBMZEtobWZQVG0zZUdjeHkz
    UzY5WnhBIDE4CldKbFhEM3NoeituK3FaSGF6eGFTQVdlOXEydjRFbWtXWDlGdVpx
    TVdRdzQKLS0tIGhQb3I0dmlKcy9NMGZNcnNnZUJoc1N5cmZWbGVVWllmTE1BS2R5
    Q0grMjAKfpYq1WiCk+u/OMuOnQ9pKknZ4ehUP2sPUVQhpsPGjkpNeG8sO2bYD5ys
    LWGpckgRNAXTzOw9a9f9Eg3wiOmJc4Z45n0haPyiswfhljQURymAk44WbJ8n/AJN
    rw96JZ0diuGACgLDdGmeI58J2gnWqXtookwBdi9VK0C5dOd4fUyZdDnoSVcFYLGf
    dTGtTaXJ5YHydZaBe+uA3uthAXt0BelkqDp73rvE3ZF4l0ymXGkxAGHcb9NtlsG4
    naHi9qJ1jC/Q9apDBUDQzvuCjzhX6ErZ+iXj8Rw1Ne6DjQ==
    -----END AGE ENCRYPTED FILE-----

    """
}
