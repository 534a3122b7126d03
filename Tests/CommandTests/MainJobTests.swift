import Foundation
import Testing

@Suite("The main job, by the real program against an org over HTTP")
struct MainJobTests {
  @Test("A rotation makes the org's primary pair active and owes the old one, and retiring proves that it is refused")
  func wholeLife() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let old = try await place.org.primary()

    let rotated = try await place.relatch("rotate", "crm")
    #expect(rotated.code == 0, "\(rotated.errorText)")
    #expect(rotated.outputText.contains("crm: version 2 is active"))
    #expect(rotated.errorText.contains("crm  version 2 is proved"))
    let consumer = try await place.org.consumer()
    let primary = try #require(consumer.primary)
    #expect(primary != old)
    #expect(try await place.relatch("read", "crm", "--field", "client_id").outputText == primary.key + "\n")
    #expect(try await place.relatch("read", "crm", "--field", "client_secret").outputText == primary.secret + "\n")
    #expect(try await place.relatch("read", "crm").outputText == primary.document + "\n")
    #expect(try await place.relatch("read", "crm", "--stage", "previous").line == old.document)
    #expect(try await place.org.grants(primary))
    #expect(consumer.slot?.state == "Rotated" && consumer.slot?.pair == old)
    let status = try await place.relatch("status", "crm")
    #expect(status.code == 0 && status.outputText.contains("debt: version 1 was replaced at "))

    let ended = try await place.relatch("show", "crm").outputText.split(separator: "\n").filter {
      $0.contains("the provider ends it")
    }
    #expect(ended.count == 1 && ended.first?.contains("1 previous") == true, "the primary pair has no end")

    let retired = try await place.relatch("retire", "crm")
    #expect(retired.code == 0 && retired.outputText.contains("nothing is owed"), "\(retired.errorText)")
    #expect(try await place.org.consumer().slot == nil)
    #expect(try await !place.org.grants(old))
    #expect(try await place.org.grants(primary))
    let log = try await place.relatch("log", "list", environment: Workplace.outsider)
    let proof = try #require(log.outputText.split(separator: "\n").first { $0.contains("rotation.refused") })
    #expect(proof.contains("accepted=2") && proof.contains(#""version":1"#) && proof.contains("invalid_client_id"))
    #expect(try await !place.relatch("status").outputText.contains("debt"))
    #expect(try await place.relatch("retire", "crm").code == 0, "nothing to do is no failure")

    try FileManager.default.removeItem(at: place.identity)
    #expect(try await place.logIsIntact(), "the log verifies without the identity")
  }

  @Test("With --json every line is one object, and the log's lines are its canonical entries")
  func machineReadable() async throws {
    let place = try await Workplace()
    let app = try await place.org.apps()[1].identifier
    let added = try await place.relatch(
      "add", "crm", "--provider", "salesforce", "--set", "url=\(place.org.url)", "--set", "app=\(app)", "--admin",
      "admin", "--json", stdin: place.org.primary().document)
    #expect(try added.objects().first?["type"] as? String == "credential")

    let rotated = try await place.relatch("rotate", "crm", "--json")
    #expect(rotated.code == 0 && rotated.errors.isEmpty, "\(rotated.errorText)")
    let lines = try rotated.objects()
    #expect(lines.dropLast().allSatisfy { $0["type"] as? String == "step" })
    #expect(lines.last?["outcome"] as? String == "promoted" && lines.last?["active"] as? Int == 2)

    let status = try #require(try await place.relatch("status", "crm", "--json").objects().first)
    let debts = try #require(status["debts"] as? [[String: Any]])
    #expect(debts.count == 1 && debts.first?["version"] as? Int == 1 && debts.first?["overdue"] as? Bool == false)
    let retired = try await place.relatch("retire", "crm", "--json").objects()
    #expect(retired.last?["outcome"] as? String == "settled")
    #expect(try await place.relatch("retire", "crm", "--json").objects().last?["outcome"] as? String == "nothing-owed")
    for arguments in [["list"], ["show", "crm"], ["policy", "crm"], ["log", "verify"], ["status"]] {
      let outcome = try await place.run(Programs.relatch, arguments + ["--json"])
      #expect(try outcome.code == 0 && !outcome.objects().isEmpty, "\(arguments)")
    }
    let entries = try await place.relatch("log", "list", "--json", environment: Workplace.outsider).outputText.split(
      separator: "\n"
    ).map(String.init)
    for entry in entries {
      let object = try JSONSerialization.jsonObject(with: Data(entry.utf8))
      let canonical = try JSONSerialization.data(
        withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
      #expect(String(decoding: canonical, as: UTF8.self) == entry)
    }
    let events = try entries.map { entry in
      let object = try JSONSerialization.jsonObject(with: Data(entry.utf8)) as? [String: Any]
      return try #require(object?["event"] as? String)
    }
    #expect(events.first == "vault.created" && events.contains("rotation.refused"))
  }

  @Test("--quiet prints nothing if nothing is wrong, and with --json leaves out only the steps")
  func quiet() async throws {
    let place = try await Workplace(["--apps", "2"])
    try await place.add("crm")
    try await place.add("erp", app: 2)
    let rotated = try await place.relatch("rotate", "crm", "--quiet")
    #expect(rotated.code == 0 && rotated.errors.isEmpty && rotated.output.isEmpty, "\(rotated.outputText)")
    for arguments in [["policy", "crm", "grace=1h"], ["retire", "crm"], ["retire", "crm"]] {
      let outcome = try await place.run(Programs.relatch, arguments + ["--quiet"])
      #expect(outcome.code == 0 && outcome.errors.isEmpty && outcome.output.isEmpty, "\(arguments)")
    }
    let both = try await place.relatch("rotate", "erp", "--quiet", "--json")
    #expect(both.code == 0 && both.errors.isEmpty)
    #expect(try both.objects().map { $0["type"] as? String } == ["outcome"])
  }

  @Test("A failure of one credential does not harm the others, and ends with 13")
  func several() async throws {
    let place = try await Workplace(["--apps", "3"])
    for number in 1...3 { try await place.add("app\(number)", app: number) }
    let path = "*/credentials/\(try await place.org.apps()[2].identifier)*"
    try await place.org.fault("garbage", "GET", path)
    let rotated = try await place.relatch("rotate", "app1", "app2", "app3", "app1")
    #expect(rotated.code == 13, "\(rotated.errorText)")
    #expect(rotated.errorText.contains("relatch: error: app2: "))
    #expect(rotated.outputText.split(separator: "\n").count == 2)
    #expect(rotated.errorText.split(separator: "\n").count { $0.hasPrefix("relatch: error: ") } == 1)
    for (number, isRotated) in [(1, true), (2, false), (3, true)] {
      #expect(try await place.holdsPrimary("app\(number)", ofApp: number))
      #expect(try await place.org.consumer(ofApp: number).slot?.state == (isRotated ? "Rotated" : nil))
    }
    let again = try await place.relatch("rotate", "app2", "nope", "--json")
    let failures = try again.objects().filter { $0["type"] as? String == "error" }.map { failure in
      "\(failure["credential"] ?? "") \(failure["code"] ?? "")"
    }
    #expect(again.code == 13 && Set(failures) == ["app2 69", "nope 66"], "\(failures)")
  }

  @Test("--all rotates everything that can be rotated, and having nothing to do is no failure")
  func all() async throws {
    let place = try await Workplace(["--apps", "2"])
    let none = try await place.relatch("rotate", "--all")
    #expect(none.code == 0 && none.output.isEmpty && none.errorText.contains("nothing to rotate"))
    for number in 1...2 { try await place.add("app\(number)", app: number) }
    let rotated = try await place.relatch("rotate", "--all")
    #expect(rotated.code == 0, "\(rotated.errorText)")
    for number in 1...2 {
      #expect(try await place.org.consumer(ofApp: number).slot?.state == "Rotated")
      #expect(try await place.holdsPrimary("app\(number)", ofApp: number))
    }
  }

  @Test("A credential that administers itself is rotated with its own tokens")
  func selfAdministered() async throws {
    let place = try await Workplace(["--every-app-is-admin"], addsAdmin: false)
    try await place.add("crm", admin: "self")
    let old = try await place.org.primary()
    let rotated = try await place.relatch("rotate", "crm")
    #expect(rotated.code == 0, "\(rotated.errorText)")
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.relatch("retire", "crm").code == 0)
    #expect(try await !place.org.grants(old))
    #expect(try await place.relatch("show", "crm").outputText.contains("admin     self"))
  }

  @Test("Of an app with several consumers only the one whose pair the vault has is rotated", arguments: [0, 1, 2])
  func consumers(_ held: Int) async throws {
    let place = try await Workplace(["--consumers-per-app", "3"])
    let id = try await place.org.consumer(held).id
    try await place.add("crm", consumer: held, held == 2 ? ["--set", "consumer=\(id)"] : [])
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await place.relatch("retire", "crm").code == 0)
    #expect(try await place.relatch("rotate", "crm").code == 0)
    for index in 0...2 {
      #expect(try await place.org.consumer(index).slot?.state == (index == held ? "Rotated" : nil))
    }
    #expect(try await place.holdsPrimary("crm", consumer: held))
  }
}
