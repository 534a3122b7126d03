import Foundation
import Testing

/// A system that a program keeps in a file, and that program, beside the vault.
struct ProgrammedSystem {
  let place: Workplace
  let program: String

  private var file: URL { place.folder.appending(path: "system.json") }
  var arguments: String { "[\"\(file.path)\"]" }

  /// Speaks the contract. Where the file `kill` names the operation, it kills the process that started it, once it has
  /// acted.
  private static let text = #"""
    #!/usr/bin/python3 -I
    import json, os, sys
    path = sys.argv[1]
    request = json.load(sys.stdin)
    operation = request["operation"]
    with open(path) as file:
        keys = json.load(file)
    answer = {}
    if operation == "observe":
        known = [pair["client_secret"] for pair in request["known"]]
        answer = {"replacement": "overlap", "pairs": []}
        for key in keys:
            pair = {"client_id": "crm", "handle": key["id"], "key": key["label"]}
            if key["secret"] in known:
                pair["known"] = known.index(key["secret"])
            answer["pairs"].append(pair)
    elif operation == "stage":
        number = 1 + max(int(key["id"]) for key in keys)
        made = [key for key in keys if key["label"] == request["key"]]
        if not made:
            made = [{"id": str(number), "secret": "new-secret-%d" % number, "label": request["key"]}]
            keys += made
        answer = {"pair": {"client_id": "crm", "client_secret": made[0]["secret"], "handle": made[0]["id"]}}
    elif operation == "delete":
        keys = [key for key in keys if key["id"] != request["pair"]["handle"]]
    elif operation == "grant":
        if request["pair"]["client_secret"] not in [key["secret"] for key in keys]:
            answer = {"error": "refused"}
        else:
            answer = {"status": 200}
    with open(path + ".new", "w") as file:
        json.dump(keys, file)
    os.rename(path + ".new", path)
    with open(path + ".asked", "a") as file:
        file.write(operation + "\n")
    try:
        with open(path + ".kill") as file:
            victim = file.read()
        if victim == operation:
            os.unlink(path + ".kill")
            os.kill(os.getppid(), 9)
            sys.exit(1)
    except FileNotFoundError:
        pass
    json.dump(answer, sys.stdout)

    """#

  init(_ place: Workplace) throws {
    self.place = place
    program = place.folder.appending(path: "acme").path
    try Data(Self.text.utf8).write(to: URL(filePath: program))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
    try write([["id": "1", "secret": "old-secret", "label": ""]])
  }

  func write(_ keys: [[String: String]]) throws { try JSONSerialization.data(withJSONObject: keys).write(to: file) }

  func keys() throws -> [[String: String]] {
    try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [[String: String]] ?? []
  }

  func secrets() throws -> [String] { try keys().compactMap { $0["secret"] } }

  /// What the program has been asked so far.
  func asked() -> [String] {
    let text = try? String(contentsOf: place.folder.appending(path: "system.json.asked"), encoding: .utf8)
    return (text ?? "").split(separator: "\n").map(String.init)
  }

  func killNext(_ operation: String) throws {
    try Data(operation.utf8).write(to: place.folder.appending(path: "system.json.kill"))
  }

  func add(_ name: String = "crm", _ more: [String] = [], arguments: String? = nil) async throws {
    let added = try await place.run(
      Programs.relatch,
      [
        "add", name, "--provider", "command", "--set", "program=\(program)", "--set",
        "arguments=\(arguments ?? self.arguments)", "--set", "replacement=overlap", "--policy", "grace=0s", "--policy",
        "propagation=0s",
      ] + more,
      stdin: #"{"client_id":"crm","client_secret":"old-secret"}"#)
    #expect(added.code == 0, "\(added.errorText)")
    #expect(added.errorText.contains("relatch provider allow \(name)"))
  }
}

@Suite("A program that acts for a system")
struct CommandProviderTests {
  @Test("A leaked pair that was seen to be refused, and is accepted again, is reported whenever its file is tried")
  func accepted() async throws {
    let place = try await Workplace(addsAdmin: false)
    let system = try ProgrammedSystem(place)
    try await system.add()
    #expect(try await place.relatch("provider", "allow", "crm").code == 0)
    let leaked = #"{"client_id":"crm","client_secret":"old-secret"}"#
    func revoke() async throws -> Outcome {
      try await place.run(Programs.relatch, ["revoke", "--pair-file", "-", "--reason", "a test"], stdin: leaked)
    }
    #expect(try await revoke().code == 0)
    let ended = try system.keys()
    try system.write(ended + [["id": "1", "secret": "old-secret", "label": ""]])
    let again = try await revoke()
    #expect(again.code == 12 && again.errorText.contains("accepts version 1, which leaked and was seen to be refused"))
    let told = try await place.relatch("incident", "crm")
    #expect(told.code == 12 && told.outputText.contains("the provider accepts version 1 again"), "\(told.outputText)")
    let page = try await place.relatch("incident", "crm", "--html")
    #expect(page.outputText.contains("accepts a leaked pair again that it was seen to refuse"))
    #expect(try system.secrets().contains("old-secret"), "no run deletes what it was seen to have deleted")
    // The same if it is found together with the pair that replaced it, which is replaced then.
    let newest = try #require(ended.last?["secret"])
    let both = leaked + #" {"client_id":"crm","client_secret":"\#(newest)"}"#
    let second = try await place.run(
      Programs.relatch, ["revoke", "--pair-file", "-", "--reason", "a test"], stdin: both)
    #expect(second.code == 12, "\(second.errorText)")
    #expect(try await place.relatch("incident", "crm").code == 12)
    #expect(try await place.relatch("incident").outputText.contains("accepted"))
    try system.write(system.keys().filter { $0["secret"] != "old-secret" })
    #expect(try await revoke().code == 0)
    #expect(try await place.relatch("incident", "crm").code == 0)
  }

  @Test("has a line in doctor, which asks it for nothing that changes anything") func doctor() async throws {
    let place = try await Workplace(addsAdmin: false)
    let system = try ProgrammedSystem(place)
    try await system.add()
    #expect(try await place.relatch("policy", "crm", "max-age=90d").code == 0)
    func missing() async throws -> [String] {
      let outcome = try await place.relatch("doctor", "crm", "--json")
      let found = try #require(try outcome.objects().first?["missing"] as? [String], "\(outcome.errorText)")
      #expect(outcome.code == (found.isEmpty ? 0 : 78), "\(outcome.outputText)")
      return found
    }
    #expect(try await missing() == ["program"])
    #expect(system.asked().isEmpty)
    #expect(try await place.relatch("provider", "allow", "crm").code == 0)
    #expect(try await missing() == [])
    #expect(Set(system.asked()) == ["observe", "grant"])
    try system.write([["id": "1", "secret": "another", "label": ""]])
    #expect(try await missing() == ["pair"])
    try Data("no list".utf8).write(to: place.folder.appending(path: "system.json"))
    #expect(try await missing() == ["program"])
  }

  @Test(
    "is refused with settings that cannot work, and the error names the setting",
    arguments: [
      "replacement=foo", "arguments=[1]", "arguments=garbage", "program=/tmp/", "program=bin/acme", "time-limit=1h",
    ])
  func settings(_ setting: String) async throws {
    let place = try await Workplace(addsAdmin: false)
    let more = setting.hasPrefix("program") ? ["--set", "replacement=overlap"] : []
    let added = try await place.run(
      Programs.relatch, ["add", "x", "--provider", "command", "--set", setting] + more,
      stdin: #"{"client_id":"a","client_secret":"b"}"#)
    expectFailure(added, 78, "setting \(setting.prefix { $0 != "=" })")
    #expect(!added.errorText.contains("relatch show"), "\(added.errorText)")
  }

  @Test("needs neither a program nor a token endpoint if its pair only administers")
  func administrator() async throws {
    let place = try await Workplace(addsAdmin: false)
    let added = try await place.relatch(
      "add", "root", "--provider", "command", stdin: #"{"client_id":"root","client_secret":"root-secret"}"#)
    #expect(added.code == 0 && added.errorText.contains("the first rotation that it administers tries it"))
    let doctor = try await place.relatch("doctor", "root", "--json")
    #expect(doctor.code == 0 && doctor.outputText.contains(#""missing":[]"#), "\(doctor.outputText)")
    expectFailure(try await place.relatch("token", "root"), 78, "command gives out no tokens without it")
    let log = try await place.relatch("log", "list", "--json").objects()
    #expect(log.filter { $0["event"] as? String == "pair.used" }.compactMap { $0["purpose"] as? String } == ["doctor"])
  }

  @Test("is started only after it is allowed on this machine, exactly as the settings say") func allowed() async throws
  {
    let place = try await Workplace(addsAdmin: false)
    let system = try ProgrammedSystem(place)
    try await system.add()
    for verb in ["rotate", "plan"] {
      let refused = try await place.relatch(verb, "crm")
      let text = refused.errorText + refused.outputText
      #expect(text.contains("not allowed on this machine: [\"\(system.program)\""), "\(text)")
      #expect(text.contains("`relatch provider allow crm`"), "\(text)")
      #expect(text.split(separator: "is not allowed on this machine").count == 2, "told once: \(text)")
      if verb == "rotate" { expectFailure(refused, 77) }
    }
    #expect(system.asked().isEmpty)

    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: system.program)
    let unfit = try await place.relatch("provider", "allow", "crm")
    expectFailure(unfit, 78, "may not be run: chmod +x")
    #expect(unfit.errorText.contains("`relatch show crm`") && !unfit.errorText.contains("hook"))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: system.program)
    let allowed = try await place.relatch("provider", "allow", "crm")
    #expect(allowed.code == 0 && allowed.line.hasPrefix("allowed: [\"\(system.program)\""), "\(allowed.errorText)")
    let list = place.folder.appending(path: ".config/relatch/programs")
    let lines = try String(contentsOf: list, encoding: .utf8).split(separator: "\n")
    #expect(lines.count == 1)
    let again = try await place.relatch("provider", "allow", "crm", "--json")
    #expect(try again.objects().first?["new"] as? Bool == false)
    #expect(try String(contentsOf: list, encoding: .utf8).split(separator: "\n") == lines)
    let rotated = try await place.relatch("rotate", "crm")
    #expect(rotated.code == 0, "\(rotated.errorText)")
    #expect(try system.secrets() == ["new-secret-2"])
    #expect(try await place.pair("crm")?.secret == "new-secret-2")
    #expect(try await place.logIsIntact())

    // Other arguments, or another vault, or a list that others can write to.
    let other = try await place.relatch(
      "add", "other", "--provider", "command", "--set", "program=\(system.program)", "--set",
      "arguments=[\"/etc/passwd\"]", "--set", "replacement=overlap",
      stdin: #"{"client_id":"crm","client_secret":"old-secret"}"#)
    #expect(other.code == 0, "\(other.errorText)")
    expectFailure(try await place.relatch("rotate", "other"), 77, "not allowed on this machine")
    try lines.joined().replacing("\"vault\":\"", with: "\"vault\":\"0").write(
      to: list, atomically: true, encoding: .utf8)
    expectFailure(try await place.relatch("rotate", "crm"), 77, "not allowed on this machine")
    try (lines.joined() + "\n").write(to: list, atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o666], ofItemAtPath: list.path)
    expectFailure(try await place.relatch("rotate", "crm"), 77, "can be written by others")
    #expect(!system.asked().suffix(4).contains("stage"))
  }

  @Test("is not started for a handed-over credential before it is allowed there") func handedOver() async throws {
    let place = try await Workplace(addsAdmin: false)
    let system = try ProgrammedSystem(place)
    try await system.add()
    let theirs = [
      "RELATCH_VAULT": place.folder.appending(path: "theirs").path,
      "RELATCH_IDENTITY": place.folder.appending(path: "their-identity").path,
    ]
    #expect(try await place.relatch("init", "--no-passphrase", environment: theirs).code == 0)
    let card = place.folder.appending(path: "card")
    try await place.relatch("identity", "show", environment: theirs).output.write(to: card)
    let mine = place.folder.appending(path: "my-card")
    try await place.relatch("identity", "show").output.write(to: mine)
    #expect(try await place.relatch("provider", "allow", "crm").code == 0)
    let file = place.folder.appending(path: "handoff").path
    let sent = try await place.relatch("handoff", "send", "crm", "--to", card.path, "--transfer", "-o", file)
    #expect(sent.code == 0, "\(sent.errorText)")
    let opened = try await place.relatch(
      "handoff", "open", file, "--from", mine.path, "-o", file + ".receipt", "--set", "time-limit=30s",
      environment: theirs)
    #expect(opened.code == 77 && opened.errorText.contains("not allowed on this machine"), "\(opened.errorText)")
    #expect(system.asked().isEmpty)
    #expect(try await place.relatch("show", "crm", environment: theirs).outputText.contains("time-limit=30s"))
    #expect(try await place.relatch("provider", "allow", "crm", environment: theirs).code == 0)
    let rotated = try await place.relatch("rotate", "crm", environment: theirs)
    #expect(rotated.code == 0, "\(rotated.errorText)")
    #expect(try system.secrets() == ["new-secret-2"])
  }

  @Test("follows the recipient's settings after a handoff: the sender's address and removed settings are dropped")
  func handedOverElsewhere() async throws {
    let place = try await Workplace(addsAdmin: false)
    let system = try ProgrammedSystem(place)
    try await system.add("crm", ["--set", "token-url=https://sender.example/token", "--set", "scope=all"])
    let theirs = [
      "RELATCH_VAULT": place.folder.appending(path: "theirs").path,
      "RELATCH_IDENTITY": place.folder.appending(path: "their-identity").path,
    ]
    #expect(try await place.relatch("init", "--no-passphrase", environment: theirs).code == 0)
    let (card, mine) = (place.folder.appending(path: "card"), place.folder.appending(path: "my-card"))
    try await place.relatch("identity", "show", environment: theirs).output.write(to: card)
    try await place.relatch("identity", "show").output.write(to: mine)
    for (name, more) in [("one", ["--set", "scope="]), ("two", ["--set", "token-url=https://own.example/token"])] {
      let file = place.folder.appending(path: name).path
      #expect(try await place.relatch("handoff", "send", "crm", "--to", card.path, "-o", file).code == 0)
      let opened = try await place.run(
        Programs.relatch, ["handoff", "open", file, "--as", name, "--from", mine.path, "-o", file + ".receipt"] + more,
        environment: theirs)
      #expect(opened.code == 0, "\(opened.errorText)")
      #expect(opened.errorText.contains("the sender's token-url is not used") == (name == "one"))
      let shown = try await place.relatch("show", name, environment: theirs).outputText
      let isOwn = shown.contains("token-url=https://own.example/token") && shown.contains("scope=all")
      #expect(name == "two" ? isOwn : !shown.contains("token-url") && !shown.contains("scope"), "\(shown)")
      // Only one credential may have the pair.
      #expect(try await place.relatch("remove", name, "--yes", environment: theirs).code == 0)
    }
  }

  @Test(
    "is asked what became of its last operation if the run was killed before the answer",
    arguments: ["observe", "stage", "grant", "delete"])
  func killed(_ operation: String) async throws {
    let place = try await Workplace(addsAdmin: false)
    let system = try ProgrammedSystem(place)
    try await system.add()
    #expect(try await place.relatch("provider", "allow", "crm").code == 0)
    try system.killNext(operation)
    #expect(try await place.relatch("rotate", "crm").code == -9)
    let saved = try await place.pair("crm")?.secret
    #expect(try system.secrets().contains(saved ?? ""), "law 3")
    let asked = system.asked().count
    let continued = try await place.relatch("rotate", "crm")
    #expect(continued.code == 0, "\(continued.errorText)")
    #expect(system.asked().dropFirst(asked).first == "observe" || operation == "grant")
    let end = try #require(try await place.pair("crm")?.secret)
    #expect(try system.secrets() == [end] && end != "old-secret")
    #expect(try await place.logIsIntact())
    let log = try await place.relatch("log", "list", "--json")
    #expect(!log.outputText.contains(end) && !log.outputText.contains("old-secret"))
  }
}
