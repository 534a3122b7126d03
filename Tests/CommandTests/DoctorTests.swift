import Foundation
import Testing

@Suite("doctor names the missing step of the set-up")
struct DoctorTests {
  private static let scheduled = ["propagation=0s", "max-age=90d"]

  /// A credential with nothing missing.
  private static func place() async throws -> Workplace {
    let place = try await Workplace()
    try await place.add("crm", policy: scheduled)
    try await place.org.forgetRequests()
    return place
  }

  /// The lines with this verdict.
  private func lines(_ verdict: String, _ outcome: Outcome) throws -> [String] {
    let object = try #require(try outcome.objects().first)
    let lines = try #require(object["lines"] as? [[String: Any]])
    return lines.filter { $0["verdict"] as? String == verdict }.compactMap { $0["line"] as? String }
  }

  /// Fails unless it ended with `code` and found exactly `missing`, both by the lines' verdicts and in the list of the
  /// output.
  private func expect(
    _ outcome: Outcome, _ code: Int32, missing: [String], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    #expect(outcome.code == code, "\(outcome.outputText)\(outcome.errorText)", sourceLocation: sourceLocation)
    #expect(try lines("missing", outcome) == missing, "\(outcome.outputText)", sourceLocation: sourceLocation)
    let object = try #require(try outcome.objects().first)
    #expect(object["missing"] as? [String] == missing, sourceLocation: sourceLocation)
  }

  @Test("and ends with 0 if none is missing, logged like plan, without a request that changes anything")
  func healthy() async throws {
    let place = try await Self.place()
    let text = try await place.relatch("doctor", "crm")
    #expect(
      text.code == 0 && text.outputText.hasPrefix("crm (salesforce): all 25 steps are done\n"), "\(text.outputText)")
    #expect(try await place.relatch("doctor", "--quiet").output.isEmpty)
    #expect(try await place.relatch("doctor", "crm", "crm", "--json", "--offline").objects().count == 1)
    let all = try await place.relatch("doctor", "--json")
    #expect(all.code == 0)
    #expect(try all.objects().compactMap { $0["credential"] as? String } == ["admin", "crm"])
    for object in try all.objects() {
      #expect(object["type"] as? String == "checklist" && object["missing"] as? [String] == [])
      let lines = try #require(object["lines"] as? [[String: Any]])
      for line in lines { #expect(line["verdict"] as? String == "ok" && (line["text"] as? String)?.isEmpty == false) }
    }
    let changes = try await place.org.requests().filter {
      $0.method != "GET" && $0.path != "/services/oauth2/token"
    }
    #expect(changes.isEmpty, "\(changes)")
    let log = try await place.relatch("log", "list", "--json").objects()
    #expect(log.contains { $0["purpose"] as? String == "doctor" && $0["credential"] as? String == "crm" })
    #expect(try await place.logIsIntact())
    let secrets = try await place.org.pairs().flatMap { [$0.key, $0.secret] }
    for secret in secrets { #expect(!(text.outputText + all.outputText).contains(secret)) }
  }

  @Test("with its fix, names once what the missing step hides, and plan refers to doctor")
  func flow() async throws {
    let place = try await Self.place()
    let app = try await place.org.apps()[1].identifier
    try await place.org.set("conditions", ["app": app, "clientCredentialsFlow": false])
    let text = try await place.relatch("doctor", "crm")
    #expect(text.code == 78 && text.errors.isEmpty, "\(text.errorText)")
    let words = text.outputText.split(separator: "\n").map(String.init)
    #expect(words[0] == "crm (salesforce): 1 of 25 steps missing, 9 cannot be told")
    let index = try #require(words.firstIndex { $0.hasPrefix("  missing      flow ") }, "\(text.outputText)")
    #expect(words[index + 1].contains("-> Setup, External Client App Manager"))
    #expect(words.contains("  cannot tell  user, approved, login, scopes, instance, signature: because of flow"))
    #expect(words.filter { $0.hasPrefix("  missing") }.count == 1)
    let quiet = try await place.relatch("doctor", "--quiet").outputText
    #expect(quiet.split(separator: "\n").count == 3 && quiet.contains("flow"), "\(quiet)")
    #expect(!text.outputText.contains("\u{1B}"), "no colours where nobody sees them")
    #expect(try await place.relatch("plan", "crm").outputText.contains("`relatch doctor crm`"))
    #expect(try await !place.relatch("plan", "crm", "--offline").outputText.contains("relatch doctor"))
    try await place.org.set("conditions", ["app": app, "clientCredentialsFlow": true])
    #expect(try await !place.relatch("plan", "crm").outputText.contains("relatch doctor"))
  }

  @Test("which a missing schedule or a pair in its grace is not, but a missing sink folder is")
  func local() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let unscheduled = try await place.relatch("doctor", "crm", "--json")
    try expect(unscheduled, 0, missing: [])
    #expect(unscheduled.outputText.contains("`relatch policy crm max-age=90d`"), "\(unscheduled.outputText)")
    #expect(try await place.relatch("rotate", "crm").code == 0)
    let rotated = try await place.relatch("doctor", "crm")
    #expect(rotated.code == 0 && rotated.outputText.contains("until its grace ends at"), "\(rotated.outputText)")
    let sink = place.folder.path + "/not-there/pair.json"
    _ = try await place.relatch("sink", "add", "crm", sink)
    let broken = try await place.relatch("doctor", "crm", "--json")
    try expect(broken, 78, missing: ["delivery"])
  }

  @Test("for a connected app, says what only a person can see, and suggests fixes in Salesforce's own words")
  func byHand() async throws {
    let place = try await Workplace()
    func add(_ name: String, _ pair: String) async throws {
      let added = try await place.relatch(
        "add", name, "--provider", "salesforce-connected-app", "--set", "url=\(place.org.url)", "--set", "app=CRM",
        "--policy", "max-age=90d", stdin: pair)
      #expect(added.code == 0, "\(added.errorText)")
    }
    try await add("crm", place.org.primary().document)
    let fine = try await place.relatch("doctor", "crm", "--json")
    try expect(fine, 0, missing: [])
    #expect(try lines("cannot-tell", fine) == ["slot"] && fine.outputText.contains("Manage Consumer Details"))
    try await add("wrong", #"{"client_id":"3MVG9","client_secret":"secret"}"#)
    let wrong = try await place.relatch("doctor", "wrong", "--json")
    try expect(wrong, 78, missing: ["pair"])
    #expect(wrong.outputText.contains("`relatch adopt wrong --stdin`"), "\(wrong.outputText)")
  }

  @Test("with 69 if a host cannot be reached or nobody vouches for its certificate")
  func reach() async throws {
    let place = try await Workplace()
    let pair = #"{"client_id":"3MVG9","client_secret":"secret"}"#
    func add(_ name: String, _ url: String) async throws {
      let added = try await place.relatch(
        "add", name, "--provider", "salesforce", "--set", "url=\(url)", "--set", "app=0xI000000000001", "--policy",
        "max-age=90d", stdin: pair)
      #expect(added.code == 0, "\(added.errorText)")
    }
    try await add("gone", "http://127.0.0.1:1")
    try expect(try await place.relatch("doctor", "gone", "--json"), 69, missing: ["host"])
    guard let openssl = Programs.openssl else { return }
    let made = try await place.run(
      openssl,
      [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
        "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "own.key", "-out", "own.pem",
      ].map { $0.hasPrefix("own.") ? place.folder.path + "/" + $0 : $0 })
    #expect(made.code == 0, "\(made.errorText)")
    let server = try place.start(
      openssl,
      arguments: [
        "s_server", "-www", "-accept", "127.0.0.1:0", "-cert", place.folder.path + "/own.pem", "-key",
        place.folder.path + "/own.key",
      ])
    defer { server.send(SIGKILL) }
    try await server.wait("its port") { output, _ in output.contains("ACCEPT 127.0.0.1:") && output.contains("\n") }
    let said = String(decoding: try server.said().output, as: UTF8.self)
    let port = try #require(said.split(separator: "ACCEPT 127.0.0.1:").last?.prefix { $0.isNumber })
    try await add("untrusted", "https://127.0.0.1:\(port)")
    let untrusted = try await place.relatch("doctor", "untrusted", "--json")
    try expect(untrusted, 69, missing: ["tls"])
    #expect(untrusted.outputText.contains("certificate not trusted"), "\(untrusted.outputText)")
    #expect(try lines("ok", untrusted) == ["identity", "vault", "url", "host", "delivery", "policy"])
  }

  @Test("in one line each: a clock that is off by an hour, a wrong host, and a switch of the org that is off")
  func org() async throws {
    let place = try await Self.place()
    try await place.org.set("clock", ["advance": 3600])
    try expect(try await place.relatch("doctor", "crm", "--json"), 78, missing: ["clock"])
    try await place.org.set("clock", ["real": true])
    try await place.org.fault("htmlPage", nil, "*", ["acts": false])
    try expect(try await place.relatch("doctor", "crm", "--json"), 78, missing: ["url"])
    try await place.org.clearFaults()
    try await place.org.set("conditions", ["restSecretAccess": false])
    try expect(try await place.relatch("doctor", "crm", "--json"), 78, missing: ["switch"])
  }

  @Test("and checks what it can without an identity (77), or with --offline, which is no fault (0)")
  func identities() async throws {
    let place = try await Self.place()
    let none = try await place.relatch("doctor", "crm", "--json", environment: Workplace.outsider)
    try expect(none, 77, missing: ["identity"])
    #expect(try lines("ok", none) == ["vault", "url", "host", "tls", "clock", "version", "delivery", "policy"])
    #expect(try await place.org.requests().map(\.path) == ["/services/data"])
    try await place.org.forgetRequests()
    let before = try await place.relatch("log", "verify", "--json", environment: Workplace.outsider).objects()
    let offline = try await place.relatch("doctor", "crm", "--offline", "--json")
    try expect(offline, 0, missing: [])
    #expect(try lines("ok", offline) == ["vault", "url", "delivery", "policy"])
    #expect(try await place.org.requests().isEmpty)
    let after = try await place.relatch("log", "verify", "--json", environment: Workplace.outsider).objects()
    #expect(before.first?["entries"] as? Int == after.first?["entries"] as? Int)

    // Somebody who may not open it, and somebody who may not open its administrator.
    let bo = try await place.addMember("bo", "operator")
    try expect(try await place.relatch("doctor", "crm", "--json", environment: bo), 77, missing: ["identity"])
    #expect(try await place.relatch("grant", "crm", "bo").code == 0)
    let partly = try await place.relatch("doctor", "crm", "--json", environment: bo)
    try expect(partly, 77, missing: ["admin"])
    #expect(try lines("cannot-tell", partly) == ["permissions", "switch", "primary", "slot"])
    let words = "bo may not open admin, whose token drives the rotation of crm"
    #expect(partly.outputText.contains("\"\(words)\""), "\(partly.outputText)")
    #expect(partly.outputText.contains("`relatch grant admin bo`"), "\(partly.outputText)")
    let plan = try await place.relatch("plan", "crm", environment: bo).outputText
    #expect(plan.contains("obstacle: \(words)\n    hint: an owner can let them: `relatch grant admin bo`\n"), "\(plan)")
  }

  @Test("and refuses wrong arguments like any other verb")
  func usage() async throws {
    let place = try await Self.place()
    expectFailure(try await place.relatch("doctor", "nope"), 66, #"no credential "nope""#)
    expectFailure(try await place.relatch("doctor", "crm", "--all"), 64, "--all")
    let help = try await place.relatch("help", "doctor")
    #expect(help.code == 0 && help.outputText.contains("--offline"))
  }
}
