import Foundation
import Testing

@Suite("One pair under two names")
struct TwinTests {
  private static let pair = #"{"client_id":"crm","client_secret":"old-secret"}"#

  /// Adds `name` with the pair of app 1, whatever comes of it.
  private func add(_ name: String, _ provider: String, _ place: Workplace, _ more: [String] = []) async throws
    -> Outcome
  {
    try await place.run(
      Programs.relatch,
      ["add", name, "--provider", provider, "--set", "url=\(place.org.url)", "--policy", "grace=0s"] + more,
      stdin: place.org.primary().document)
  }

  private func app(_ place: Workplace) async throws -> [String] {
    ["--set", "app=\(try await place.org.apps()[1].identifier)", "--admin", "admin"]
  }

  @Test("is not suspected where settings leave open which client it is: an operator of one consumer rotates that")
  func consumers() async throws {
    let place = try await Workplace(["--consumers-per-app", "2", "--every-app-is-admin"])
    for consumer in 0...1 {
      try await place.add("crm\(consumer)", consumer: consumer, policy: ["grace=0s", "propagation=0s"])
    }
    let bob = try await place.addMember("bob", "operator", grants: ["crm0", "admin"])
    for verb in ["rotate", "retire"] {
      let outcome = try await place.relatch(verb, "crm0", environment: bob)
      #expect(outcome.code == 0, "\(verb): \(outcome.errorText)")
    }
    #expect(try await place.relatch("token", "crm1").code == 0)
  }

  @Test("is refused where one name is only used and the other rotated, in either order, and the way out is named")
  func used() async throws {
    let place = try await Workplace()
    let app = try await app(place)
    #expect(try await add("legacy", "salesforce", place).code == 0)
    let fresh = try await add("fresh", "salesforce", place, app)
    _ = try await place.relatch("rotate", "fresh")
    _ = try await place.relatch("retire", "fresh")
    #expect(try await place.relatch("token", "legacy").code == 0)
    expectFailure(fresh, 64, "fresh: its pair is that of legacy, as version 1")
    #expect(fresh.errorText.contains("`relatch settings legacy …`"), "\(fresh.errorText)")
    #expect(fresh.errorText.contains("`relatch remove legacy`"))
    // As the hint says.
    #expect(try await place.run(Programs.relatch, ["settings", "legacy", app[1], "--admin", "admin"]).code == 0)
    let again = try await add("fresh", "cloudaware", place)
    _ = try await place.relatch("rotate", "legacy")
    expectFailure(again, 64, "fresh: its pair is that of legacy")
    #expect(again.errorText.contains("`relatch sink add legacy …`"), "\(again.errorText)")
    #expect(try await place.relatch("token", "legacy").code == 0)
  }

  @Test("is refused where the names have two kinds for one app, also among lines of one import")
  func kinds() async throws {
    let place = try await Workplace()
    let app = try await app(place)
    #expect(try await add("crm", "salesforce", place, app).code == 0)
    let other = try await add("ca", "cloudaware", place, app)
    _ = try await place.relatch("rotate", "crm")
    if other.code == 0 { #expect(try await place.relatch("token", "ca").code == 0) }
    expectFailure(other, 64, "ca: its pair is that of crm")
    // An identifier has a form of 18 characters, too.
    let identifier = try await place.org.apps()[1].identifier
    let long = try await add(
      "long", "salesforce", place, ["--set", "app=\(identifier.prefix(15))AAA", "--admin", "admin"])
    expectFailure(long, 64, "long: its pair is that of crm")

    let pair = try await place.org.primary()
    func line(_ name: String, _ provider: String, _ app: String?) throws -> String {
      var settings = ["url": place.org.url]
      settings["app"] = app
      let object: [String: Any] = [
        "name": name, "provider": provider, "settings": settings, "client_id": "\(pair.key)x",
        "client_secret": pair.secret, "admin": "admin",
      ]
      return String(decoding: try JSONSerialization.data(withJSONObject: object), as: UTF8.self) + "\n"
    }
    for second in [try line("b", "cloudaware", identifier), try line("b", "salesforce-connected-app", "CRM")] {
      let both = try await place.relatch(
        "add", "--import", "-", stdin: line("a", "salesforce", identifier) + second)
      expectFailure(both, 64, "have the same pair")
    }
    #expect(try await place.relatch("list").outputText.split(separator: "\n").count == 2)
  }

  @Test("is refused where `settings` would move one to the other's place")
  func settings() async throws {
    let place = try await Workplace(addsAdmin: false)
    let system = try ProgrammedSystem(place)
    try await system.add("t1")
    try await system.add("t2", ["--set", "time-limit=30s"], arguments: #"["/somewhere/else.json"]"#)
    let moved = try await place.relatch("settings", "t2", "arguments=\(system.arguments)")
    if moved.code == 0 {
      try await rotate("t1", place)
      #expect(try await system.secrets().contains(#require(place.pair("t2")).secret))
    }
    expectFailure(moved, 64, "t2: its pair is that of t1, as version 1")
    #expect(moved.errorText.contains("`relatch remove t1`"), "\(moved.errorText)")
    let shown = try await place.relatch("settings", "t2").outputText
    #expect(shown.contains("else.json"), "\(shown)")
    // Other settings; and, as the hint says, once one name is left.
    #expect(try await place.relatch("settings", "t2", "time-limit=40s").code == 0)
    #expect(try await place.relatch("remove", "t1", "--yes").code == 0)
    #expect(try await place.relatch("settings", "t2", "arguments=\(system.arguments)").code == 0)
    try await rotate("t2", place)
    #expect(try await system.secrets() == [#require(place.pair("t2")).secret])
  }

  @Test("that leaked and lack an app: the hint of `settings` leads out, and forgets no leak", arguments: ["x", "x2"])
  func leaked(first: String) async throws {
    let place = try await Workplace()
    let app = try await app(place)[1]
    #expect(try await add("x", "salesforce", place).code == 0)
    let twin = try await add("x2", "salesforce", place)
    #expect(twin.code == 0 && twin.errorText.contains("only one of them"), "\(twin.errorText)")
    let leaked = try await place.org.primary()
    #expect(try await place.relatch("revoke", first, "--reason", "a test").code == 78)
    let stopped = try await place.relatch("settings", "x", app, "--admin", "admin")
    expectFailure(stopped, 64, "x: its pair is that of x2")
    let hint = stopped.errorText
    #expect(hint.contains("`relatch sink add x …`") && hint.contains("`relatch remove x2 --forget-debts`"), "\(hint)")
    #expect(!hint.contains("`relatch settings x2"), "\(hint)")
    let revoke = "`relatch revoke x --reason TEXT`"
    #expect(hint.contains(revoke) == (first == "x2"), "\(hint)")
    if hint.contains(revoke) { #expect(try await place.relatch("revoke", "x", "--reason", "a test").code == 78) }
    #expect(try await place.relatch("remove", "x2", "--forget-debts").code == 0)
    #expect(try await place.relatch("settings", "x", app, "--admin", "admin").code == 0)
    let resumed = try await place.relatch("resume", "x")
    #expect(resumed.code == 0, "\(resumed.errorText)")
    #expect(try await !place.org.accepts(leaked))
    #expect(try await place.holdsPrimary("x"))
  }

  @Test("is refused where a transfer is taken back whose pair was added under another name")
  func withdrawn() async throws {
    let place = try await Workplace(addsAdmin: false)
    let system = try ProgrammedSystem(place)
    try await system.add("t1")
    let card = place.folder.appending(path: "card")
    try await place.relatch("identity", "show").output.write(to: card)
    let file = place.folder.appending(path: "handoff").path
    #expect(
      try await place.relatch("handoff", "send", "t1", "--to", card.path, "--transfer", "-o", file).code == 0)
    try await system.add("t2")
    let back = try await place.relatch("handoff", "withdraw", "t1")
    try await rotate("t1", place)
    #expect(try await system.secrets().contains(#require(place.pair("t2")).secret))
    expectFailure(back, 64, "t1: its pair is that of t2, as version 1")
    #expect(try await place.relatch("remove", "t2", "--yes").code == 0)
    #expect(try await place.relatch("handoff", "withdraw", "t1").code == 0)
  }

  @Test("is refused to all but one of those that add it at once")
  func race() async throws {
    let place = try await Workplace(addsAdmin: false)
    let system = try ProgrammedSystem(place)
    let options = [
      "--provider", "command", "--set", "program=\(system.program)", "--set", "arguments=\(system.arguments)",
      "--set", "replacement=overlap", "--policy", "grace=0s", "--policy", "propagation=0s",
    ]
    let running = try (1...6).map { number in
      try place.start(arguments: ["add", "t\(number)"] + options, stdin: Self.pair)
    }
    var codes: [Int32] = []
    for one in running { codes.append(try await one.outcome().code) }
    #expect(codes.sorted() == [0, 64, 64, 64, 64, 64], "\(codes)")
    let names = try await place.relatch("list").outputText.split(separator: "\n").map {
      String($0.prefix { $0 != " " })
    }
    try await rotate(try #require(names.first), place)
    for name in names { #expect(try await system.secrets().contains(#require(place.pair(name)).secret)) }
    #expect(try await place.logIsIntact())
  }

  private func rotate(_ name: String, _ place: Workplace) async throws {
    _ = try await place.relatch("provider", "allow", name)
    _ = try await place.relatch("rotate", name)
    _ = try await place.relatch("retire", name)
  }
}
