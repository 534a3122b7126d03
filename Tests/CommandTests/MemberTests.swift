import Foundation
import Testing

@Suite("Members and grants")
struct MemberTests {
  @Test("A member is added with the card that their machine prints, and listed with what they can open")
  func list() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let card = try await place.card(of: "cron")
    let fields = try #require(JSONSerialization.jsonObject(with: Data(card.utf8)) as? [String: String])
    let file = place.folder.path + "/card.json"
    try Data(("\n " + card + "\r\n").utf8).write(to: URL(fileURLWithPath: file))
    let added = try await place.relatch("member", "add", file, "--role", "operator", "--name", "cron/host-1")
    #expect(added.code == 0, "\(added.errorText)")
    // What a person compares over another channel.
    for field in ["age", "signing"] { #expect(try added.outputText.contains(#require(fields[field]))) }
    #expect(
      added.outputText.contains("cron/host-1 is a member: operator, opens and rotates only the credentials granted"))
    #expect(added.errorText.contains("over another channel") && added.errorText.contains("relatch grant"))
    try await place.addMember("audit", "auditor")
    #expect(try await place.relatch("grant", "crm", "cron/host-1", "--quiet").output.isEmpty)

    // Nothing is unlocked, because there is no identity.
    let nobody = ["RELATCH_IDENTITY": "/nonexistent"]
    let text = try await place.relatch("member", "list", environment: nobody)
    #expect(text.code == 0 && text.errors.isEmpty, "\(text.errorText)")
    let lines = text.outputText.split(separator: "\n")
    #expect(lines.count == 4 && lines[0].hasPrefix("MEMBER"))
    let recipient = try #require(fields["age"])
    #expect(lines.contains { $0.hasPrefix("cron/host-1") && $0.contains("  crm  ") && $0.hasSuffix(recipient) })
    let members = try await place.relatch("member", "list", "--json", environment: nobody).objects()
    #expect(members.allSatisfy { $0["type"] as? String == "member" })
    let cron = try #require(members.first { $0["member"] as? String == "cron/host-1" })
    #expect(cron["role"] as? String == "operator" && cron["grants"] as? [String] == ["crm"])
    #expect(cron["recipient"] as? String == fields["age"] && cron["signing"] as? String == fields["signing"])
    #expect(cron["since"] is String)
    #expect(Set(members.compactMap { $0["role"] as? String }) == ["owner", "operator", "auditor"])
    #expect(members.filter { $0["role"] as? String != "operator" }.allSatisfy { $0["grants"] as? [String] == [] })
    #expect(try await place.logIsIntact())
  }

  @Test("A second owner opens everything at once and adds members, and the key file is replaced")
  func secondOwner() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let before = try place.keyFiles()
    let anna = try await place.addMember("anna", "owner")
    #expect(try place.keyFiles().count == 1 && place.keyFiles() != before)
    let mode = try FileManager.default.attributesOfItem(atPath: place.vault.path + "/keys/" + place.keyFiles()[0])
    #expect(mode[.posixPermissions] as? Int == 0o600)
    #expect(try await place.pair("crm", environment: anna) == place.org.primary())
    #expect(try await place.holdsPrimary("crm"))
    let added = try await place.relatch(
      "member", "add", "-", "--role", "operator", stdin: place.card(of: "bob"), environment: anna)
    #expect(added.code == 0, "\(added.errorText)")
    #expect(
      try await place.relatch(
        "add", "erp", "--provider", "salesforce", "--set", "url=\(place.org.url)",
        stdin: #"{"client_id":"erp","client_secret":"not-tried"}"#, environment: anna
      ).code == 0)
    #expect(try await place.relatch("read", "erp").code == 0)
    #expect(try await place.logIsIntact())
  }

  @Test("A file that is no card, or a card altered in any way, is refused with 65, and adds no member")
  func wrongCards() async throws {
    let place = try await Workplace(addsAdmin: false)
    for text in [
      "", "{", "[]", "null", #"{"age":"x","name":"bob","signing":"y"}"#, String(repeating: " ", count: 5000),
    ] {
      let added = try await place.relatch("member", "add", "-", "--role", "operator", stdin: text)
      expectFailure(added, 65, "standard input is not a card")
      #expect(!added.errorText.contains("SECRET"))
    }
    let card = try await place.card(of: "bob")
    let fields = try #require(JSONSerialization.jsonObject(with: Data(card.utf8)) as? [String: String])
    let (age, signing) = (try #require(fields["age"]), try #require(fields["signing"]))
    let zero = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqs6r8q2m"
    for (old, new) in [
      (age, String(age.dropLast())), (age, age.uppercased()), (age, zero), (signing, String(signing.dropFirst(4))),
      (signing, "A" + signing.dropLast()), (#"","name""#, #"", "name""#), ("{", #"{"role":"owner","#),
      (#""name":"bob""#, #""name":"bo b""#), (#""name":"bob""#, #""name":"../bob""#), (#""name":"bob""#, #""name":7"#),
      (#""name":"bob","#, ""), ("}", "}{}"), ("}", #","zzz":1}"#),
    ] {
      let altered = card.replacingOccurrences(of: old, with: new)
      try #require(altered != card)
      let added = try await place.relatch("member", "add", "-", "--role", "owner", stdin: altered)
      expectFailure(added, 65, "standard input is not a card")
    }
    let secret = try String(contentsOf: place.identity, encoding: .utf8)
    for identity in ["AGE-SECRET-KEY-1QQQQ", secret] {
      let added = try await place.relatch("member", "add", "-", "--role", "owner", stdin: identity)
      expectFailure(added, 64, "standard input is an identity, not a card: it is secret")
      #expect(!added.errorText.contains("AGE-SECRET-KEY"))
    }
    #expect(try await place.relatch("member", "list", "--json").objects().count == 1)
    expectFailure(try await place.relatch("member", "add", "/nonexistent", "--role", "owner"), 66, "/nonexistent")
    expectFailure(try await place.relatch("member", "add", "-", "--role", "king", stdin: card), 64)
    expectFailure(try await place.relatch("member", "add", "-", stdin: card), 64)
    let named = try await place.relatch("member", "add", "-", "--role", "owner", "--name", "a b", stdin: card)
    expectFailure(named, 64, "member name")
  }

  @Test("A name, recipient or key belongs to one member only: 64")
  func taken() async throws {
    let place = try await Workplace()
    try await place.addMember("bob", "operator")
    let other = try await place.card(of: "eve")
    expectFailure(try await place.relatch("member", "add", "-", "--role", "owner", "--name", "bob", stdin: other), 64)
    let same = try await place.card(of: "bob")
    expectFailure(try await place.relatch("member", "add", "-", "--role", "owner", "--name", "eve", stdin: same), 64)
    let own = try await place.relatch("identity", "show").outputText
    expectFailure(try await place.relatch("member", "add", "-", "--role", "owner", "--name", "me", stdin: own), 64)
    #expect(try await place.relatch("member", "list", "--json").objects().count == 2)
  }

  @Test("A member who is not an owner changes no members, grants, keys or credentials: 77")
  func notPermitted() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let bob = try await place.addMember("bob", "operator", grants: ["crm"])
    let audit = try await place.addMember("audit", "auditor")
    let card = try await place.card(of: "eve")
    let entries = try await place.relatch("log", "list", environment: Workplace.outsider).outputText
    let keys = try place.keyFiles()
    for member in [bob, audit] {
      for arguments in [
        ["member", "add", "-", "--role", "operator"], ["member", "remove", "audit"], ["grant", "admin", "bob"],
        ["ungrant", "crm", "bob"], ["rekey"], ["remove", "crm"],
        ["sink", "add", "crm", place.folder.path + "/pair.json"], ["policy", "admin", "tags=none"],
      ] {
        let tried = try await place.run(Programs.relatch, arguments, stdin: card, environment: member)
        expectFailure(tried, 77)
      }
    }
    expectFailure(try await place.relatch("policy", "crm", "tags=none", environment: audit), 77, "holds no grant")
    expectFailure(try await place.relatch("read", "crm", environment: audit), 77)
    expectFailure(try await place.relatch("read", "crm", environment: place.environment(of: "eve")), 77)
    #expect(try await place.relatch("log", "list", environment: Workplace.outsider).outputText == entries)
    #expect(try place.keyFiles() == keys, "no key file is left by what was refused")
    #expect(try await place.relatch("read", "crm", environment: bob).code == 0)
  }

  @Test("The removal of an owner names what they set up that is still in force, in text and JSON")
  func whatAnOwnerLeaves() async throws {
    let teams = try await TwoTeams(["--every-app-is-admin", "--apps", "3"])
    let place = teams.place
    for (number, name) in ["crm", "erp", "hr"].enumerated() {
      try await place.add(name, app: number + 1, admin: "self")
    }
    let bob = try await place.addMember("bob", "operator", grants: ["crm"])
    let dora = try await place.addMember("dora", "owner")
    let card = try await place.card(of: "svc")
    let proxy = "\(place.org.url)/"
    for (words, input) in [
      (["member", "add", "-", "--role", "owner"], card),
      (["grant", "erp", "bob"], nil), (["grant", "admin", "bob"], nil), (["ungrant", "admin", "bob"], nil),
      (["settings", "crm", "url=\(proxy)"], nil), (["settings", "erp", "--admin", "admin"], nil),
      (["log", "witness", "add", "w", "--file", place.folder.path + "/note"], nil),
      (["sink", "add", "crm", place.folder.path + "/pair.json", "--name", "file"], nil),
      (["handoff", "send", "hr", "--to", teams.card, "--transfer", "-o", teams.path("hr.age")], nil),
    ] as [([String], String?)] {
      let done = try await place.run(Programs.relatch, words, stdin: input, environment: dora)
      #expect(done.code == 0, "\(words): \(done.errorText)")
    }
    #expect(try await place.relatch("read", "crm", environment: bob).code == 0)
    // Once in a copy, for people.
    let copy = place.folder.appendingPathComponent("copy")
    try FileManager.default.copyItem(at: place.vault, to: copy)
    let elsewhere = ["RELATCH_VAULT": copy.path, "XDG_STATE_HOME": place.folder.path + "/state-copy"]
    let told = try await place.relatch("member", "remove", "dora", environment: elsewhere)
    for words in [
      "dora added the member svc, an owner", "dora granted erp to bob",
      "dora changed crm: url from \"\(place.org.url)\" to \"\(proxy)\"",
      "dora changed erp: its administrator from erp to admin", "dora added the witness w",
      "the sink file of crm was added by dora", "dora handed hr over to bo",
    ] { #expect(told.errorText.contains(words), "\(words): \(told.errorText)") }
    #expect(!told.errorText.contains("granted admin") && !told.errorText.contains("granted crm"))
    let removed = try await place.relatch("member", "remove", "dora", "--json")
    #expect(removed.code == 0, "\(removed.errorText)")
    let left = try #require(removed.objects().first?["left"] as? [[String: Any]])
    #expect(
      left.compactMap { $0["kind"] as? String }.sorted() == [
        "administrator", "grant", "member", "settings", "sink", "transfer", "witness",
      ])
    let settings = try #require(left.first { $0["kind"] as? String == "settings" })
    #expect(settings["before"] as? [String: String] == ["url": place.org.url])
    #expect(settings["after"] as? [String: String] == ["url": proxy] && settings["credential"] as? String == "crm")
    // Whoever set up nothing leaves nothing.
    try await place.addMember("eve", "owner")
    let second = try await place.relatch("member", "remove", "eve", "--json").objects().first
    #expect((second?["left"] as? [Any])?.isEmpty == true)
  }

  @Test("Grants that make no sense are refused, and nobody removes themselves or the last owner")
  func senseless() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let anna = try await place.addMember("anna", "owner")
    try await place.addMember("bob", "operator", grants: ["crm"])
    try await place.addMember("audit", "auditor")
    expectFailure(try await place.relatch("grant", "crm", "audit"), 64, "audit")
    expectFailure(try await place.relatch("grant", "crm", "anna"), 64)
    let again = try await place.relatch("grant", "crm", "bob", "--json")
    #expect(try again.code == 0 && again.objects().first?["new"] as? Bool == false, "\(again.errorText)")
    expectFailure(try await place.relatch("grant", "nope", "bob"), 66, "nope")
    expectFailure(try await place.relatch("grant", "crm", "nope"), 66, "nope")
    expectFailure(try await place.relatch("ungrant", "admin", "bob"), 66)
    expectFailure(try await place.relatch("member", "remove", "nope"), 66, "nope")
    expectFailure(try await place.relatch("member", "remove", "anna", environment: anna), 77)
    let names = try await place.relatch("member", "list", "--json").objects().compactMap { $0["member"] as? String }
    let me = try #require(names.first { !["anna", "bob", "audit"].contains($0) })
    #expect(try await place.relatch("member", "remove", me, environment: anna).code == 0)
    expectFailure(try await place.relatch("member", "remove", "anna", environment: anna), 77)
    expectFailure(try await place.relatch("read", "crm"), 77, "is not one of this vault's")
    #expect(try await place.relatch("log", "verify", environment: anna).code == 0)
  }

  @Test("A credential is removed with its pairs, unless something is owed or depends on it, and its name is free again")
  func remove() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    expectFailure(try await place.relatch("remove", "admin"), 64)
    #expect(try await place.relatch("rotate", "crm").code == 0)
    expectFailure(try await place.relatch("remove", "crm"), 64)
    let removed = try await place.relatch("remove", "crm", "--forget-debts", "--json")
    let object = try #require(try removed.objects().first, "\(removed.outputText)")
    #expect(object["type"] as? String == "removed" && object["forgotten"] as? [Int] == [1])
    expectFailure(try await place.relatch("read", "crm"), 66)
    #expect(try await place.logIsIntact())
    try await place.add("crm")
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.relatch("remove", "crm").code == 0)
    #expect(try await place.relatch("remove", "admin").code == 0, "nothing is administered by it any more")
    #expect(try await place.relatch("list").output.isEmpty)
    #expect(try await place.logIsIntact())
  }

  @Test("rekey renews every key, and every pair stays readable for owners and for members with a grant")
  func rekey() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let bob = try await place.addMember("bob", "operator", grants: ["crm"])
    #expect(try await place.relatch("rotate", "crm").code == 0)
    let keys = try place.keyFiles()
    // What an interrupted attempt left, and a file that is no key at all.
    let stray = place.vault.path + "/keys/" + String(repeating: "a", count: 32) + ".age"
    let note = place.vault.path + "/keys/README"
    for path in [stray, stray + ".Ab12Cd", note] { try Data("x".utf8).write(to: URL(fileURLWithPath: path)) }
    let rekeyed = try await place.relatch("rekey", "--json")
    #expect(rekeyed.code == 0, "\(rekeyed.errorText)")
    #expect(try rekeyed.objects().first?["credentials"] as? Int == 2)
    let left = try place.keyFiles()
    #expect(left.count == 2 && left.contains("README") && Set(left).isDisjoint(with: keys), "\(left)")
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.pair("crm", environment: bob) == place.org.primary())
    #expect(try await place.pair("crm", "previous", environment: bob) != nil)
    #expect(try await place.planned().isEmpty, "nothing is exposed by it")
    #expect(try await place.logIsIntact())
    #expect(try await place.relatch("retire", "crm").code == 0)
  }

  @Test("Two simultaneous commands that change who can open the vault do not disturb each other")
  func together() async throws {
    let place = try await Workplace()
    let commands = try (1...6).map { _ in try place.start(arguments: ["rekey"]) }
    var codes: [Int32] = []
    for command in commands { codes.append(try await command.outcome().code) }
    #expect(codes.allSatisfy { [0, 75].contains($0) } && codes.contains(0), "\(codes)")
    #expect(try place.keyFiles().count == 1)
    #expect(try await place.relatch("read", "admin").code == 0)
    #expect(try await place.logIsIntact())
  }
}
