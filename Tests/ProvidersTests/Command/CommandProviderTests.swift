import Audit
import Delivery
import Foundation
import JSON
import Providers
import Rotation
import Sodium
import Synchronization
import Testing
import Transport
import Vault

/// Answers as told, and keeps what it was asked.
private final class ScriptedProgram: ProgramHost {
  private let answers: @Sendable (_ operation: String) throws -> ProgramEnding
  private let asked = Mutex<[String]>([])

  init(_ answers: @escaping @Sendable (_ operation: String) throws -> ProgramEnding) { self.answers = answers }

  var requests: [String] { asked.withLock { $0 } }

  func run(_ call: ProgramCall) async throws(ProviderError) -> ProgramEnding {
    let text = secretText(call.input.secret)
    asked.withLock { $0.append(text) }
    let operation = (try? object(text))?["operation"] as? String ?? ""
    do { return try answers(operation) } catch { throw ProviderError(.malformed, "\(error)") }
  }
}

private func object(_ text: String) throws -> [String: Any] {
  try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
}

@Suite("A system that a program speaks for", .serialized)
struct CommandProviderTests {
  @Test("keeps the contract of all providers", arguments: [Replacement.overlap, .promotion, .cutOver], [true, false])
  func contract(_ replacement: Replacement, _ showsSecrets: Bool) async throws {
    let system = try AcmeServer(replacement, .within)
    defer { system.server.stop() }
    system.change { $0.showsSecrets = showsSecrets }
    try await ProviderContract(house: system).check()
  }

  @Test(
    "the example program refuses wrong secrets and rotates, and with overlap survives the loss of any change",
    arguments: [Replacement.overlap, .promotion, .cutOver])
  func example(_ replacement: Replacement) async throws {
    let system = try AcmeServer(replacement, .example, provesByToken: replacement != .overlap)
    defer { system.server.stop() }
    let contract = ProviderContract(house: system)
    try await contract.refusesWrongSecrets()
    // Each operation is a process: the other losses are tested only within the test.
    if replacement == .overlap {
      try await contract.survivesLosses(onlyChanges: true)
    } else {
      try await contract.rotates()
    }
    #expect(system.keys.count == 1, "nothing is left that nobody has")
  }

  // MARK: - The page of the contract

  /// The examples of docs/providers/command-contract.md, by operation and part.
  private static func examples() throws -> [String: String] {
    let page = try String(
      contentsOf: URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../../docs/providers/command-contract.md").standardized, encoding: .utf8)
    var found: [String: String] = [:]
    for block in page.components(separatedBy: "\n```json ").dropFirst() {
      let lines = block.components(separatedBy: "\n")
      let text = lines.dropFirst().prefix { $0 != "```" }.joined(separator: "\n")
      found[lines[0]] = text
    }
    return found
  }

  private let known: KnownPairs

  init() throws {
    known = KnownPairs(
      [
        .init(try pair("crm", "old secret"), in: .previous, handle: "k1"),
        .init(try pair("crm", #"a "new" secret"#), in: .active, handle: "k2"),
      ], mark: "relatch-0123abcd", attempt: "3-1700000000000")
  }

  private func provider(
    _ program: any ProgramHost, _ more: [String: String] = [:]
  ) throws -> CommandProvider {
    try CommandProvider(
      settings: ["program": "/x", "replacement": "overlap"].merging(more) { $1 },
      admin: AdminAccess(name: "admin", settings: [:], programs: program) { try pair("root", "hunter2") },
      transport: RoutedTransport(always: .init(status: 500)))
  }

  @Test func `its page's examples are what is asked, and its answers are understood`() async throws {
    let examples = try Self.examples()
    #expect(examples.count == 10)
    let program = ScriptedProgram { try ProgramEnding(.exit(0), examples["\($0) answer"] ?? "") }
    let provider = try provider(program)
    let seen = try await provider.observe(known: known)
    #expect(seen.primary.handle == "k2" && seen.primary.matches(known.all[1].pair))
    #expect(seen.others.map(\.handle) == ["k1", "k3"] && seen.others.map(\.place) == [.replaced, .staged])
    #expect(seen.others[0].expires?.description == "2026-12-01T00:00:00.000Z")
    #expect(seen.others[0].matches(known.all[0].pair) && seen.others[1].isMarked)
    let made = try await provider.stage(seen)
    #expect(made.handle == "k4" && made.clientSecret.map { secretText($0.secret) } == "the newest")
    #expect(made.expires?.description == "2027-12-01T00:00:00.000Z")
    try await provider.delete(handle: "k1", seen)
    let withMade = Observation(consumer: seen.consumer, primary: seen.primary, others: [made])
    try await self.provider(program, ["replacement": "promotion"]).promote(handle: "k4", withMade)
    let evidence = try await provider.grant(pair("crm", "the newest"))
    #expect(evidence.status == 200)
    let operations = ["observe", "stage", "delete", "promote", "grant"]
    #expect(program.requests.count == operations.count)
    for (operation, request) in zip(operations, program.requests) {
      let expected = try object(#require(examples["\(operation) request"]))
      #expect(NSDictionary(dictionary: try object(request)) == NSDictionary(dictionary: expected), "\(request)")
      #expect(request.hasSuffix("}\n"))
    }
  }

  // MARK: - What goes wrong

  @Test(
    "the way a program ends says what went wrong, and whether it may have acted",
    arguments: [
      (.exit(69), .unreachable, false), (.exit(75), .limited, false), (.exit(77), .notPermitted, false),
      (.exit(78), .configuration, false), (.exit(1), .malformed, true), (.exit(2), .malformed, true),
      (.exit(255), .malformed, true), (.signal(9), .malformed, true), (.timeLimit, .malformed, true),
      (.tooLong, .malformed, true), (.unknown, .malformed, true),
    ] as [(ProgramEnding.Cause, ProviderError.Code, Bool)])
  func endings(_ cause: ProgramEnding.Cause, _ code: ProviderError.Code, _ mayHaveActed: Bool) async throws {
    let program = ScriptedProgram { _ in try ProgramEnding(cause, "{}", said: "a word") }
    let provider = try provider(program)
    let seen = try await self.provider(
      ScriptedProgram { _ in try ProgramEnding(.exit(0), Self.examples()["observe answer"] ?? "") }
    ).observe(known: known)
    let failures = [
      await failure { _ = try await provider.stage(seen) },
      await failure { try await provider.delete(handle: "k1", seen) },
      await failure { _ = try await provider.observe(known: known) },
      await failure { _ = try await provider.grant(pair("crm", "x")) },
    ]
    #expect(failures.map { $0?.code } == [code, code, code, code])
    #expect(failures.map { $0?.mayHaveActed } == [mayHaveActed, mayHaveActed, false, false])
    // If a program may hold a pair that nobody has masked, its words are not shown, however it ended.
    let shows = failures.map { $0?.hint?.contains("a word") == true }
    #expect(shows == [false, true, false, true])
    #expect(failures.allSatisfy { $0?.description.contains("a word") == false })
  }

  @Test(
    "an answer that breaks the contract is refused as malformed, and not quoted in the error",
    arguments: [
      "", "{", "[]", "null", "{}", #"{"replacement":"overlap"}"#, #"{"replacement":"overlap","pairs":{}}"#,
      #"{"replacement":"overlap","pairs":[{"handle":"k2"}]}"#,
      #"{"replacement":"overlap","pairs":[{"known":2,"handle":"k2"}]}"#,
      #"{"replacement":"overlap","pairs":[{"known":-1,"handle":"k2"}]}"#,
      #"{"replacement":"overlap","pairs":[{"known":"1","handle":"k2"}]}"#,
      #"{"replacement":"overlap","pairs":[{"known":1,"handle":"k2"},{"known":1,"handle":"k3"}]}"#,
      #"{"replacement":"overlap","pairs":[{"known":1,"handle":"k3"}]}"#,
      #"{"replacement":"overlap","pairs":[{"known":1}]}"#,
      #"{"replacement":"overlap","pairs":[{"known":1,"handle":"a b"}]}"#,
      #"{"replacement":"overlap","pairs":[{"known":1,"handle":""}]}"#,
      #"{"replacement":"overlap","pairs":[{"known":1,"handle":"k2","place":"primary"}]}"#,
      #"{"replacement":"overlap","pairs":[{"known":1,"handle":"k2","place":"above"}]}"#,
      #"{"replacement":"overlap","pairs":[{"known":1,"handle":"k2","expires":"soon"}]}"#,
      #"{"replacement":"overlap","pairs":[{"client_id":"","handle":"k2"}]}"#,
      #"{"replacement":"overlap","pairs":[{"client_id":"a\nb","handle":"k2"}]}"#,
      #"{"replacement":"overlap","pairs":[{"client_id":"crm","client_secret":7,"handle":"k2"}]}"#,
      #"{"error":"occupied"}"#, #"{"error":"s3cr3t"}"#, #"{"error":{"code":"occupied"}}"#,
      #"{"replacement":"overlap","pairs":[{"known":0,"handle":"k2"},{"known":1,"handle":"k1"}]}"#,
      #"{"replacement":"overlap","pairs":[{"known":1,"handle":"k2"},{"client_id":"x","handle":"k2"}]}"#,
      #"{"replacement":"overlap","pairs":[{"known":1,"handle":"k2"},{"client_id":"x","handle":"k9"},{"client_id":"y","handle":"k9"}]}"#,
    ])
  func nonsense(_ text: String) async throws {
    let provider = try provider(ScriptedProgram { _ in try ProgramEnding(.exit(0), text) })
    let found = await failure { _ = try await provider.observe(known: known) }
    #expect(found?.code == .malformed && found?.mayHaveActed == false, "\(String(describing: found))")
    #expect(found?.description.contains("s3cr3t") == false)
  }

  @Test(
    "only a status of success proves a pair",
    arguments: [
      "{}", #"{"status":401}"#, #"{"status":"200"}"#, #"{"status":1000}"#, #"{"error":401}"#,
      #"{"error":{"code":"refused"}}"#, #"{"status":200,"error":["refused"]}"#,
    ])
  func unproved(_ text: String) async throws {
    let provider = try provider(ScriptedProgram { _ in try ProgramEnding(.exit(0), text) })
    let found = await failure { _ = try await provider.grant(pair("crm", "x")) }
    #expect(found?.code == .malformed && found?.mayHaveActed == false, "\(String(describing: found))")
  }

  @Test func `a pair that is listed without its index is known by the handle that the vault has of it`() async throws {
    let text =
      #"{"replacement":"overlap","pairs":[{"client_id":"crm","handle":"k1","key":"relatch-0123abcd-2"},{"known":1,"handle":"k2"}]}"#
    let seen = try await provider(ScriptedProgram { _ in try ProgramEnding(.exit(0), text) }).observe(known: known)
    #expect(seen.others.map(\.place) == [.replaced] && seen.others[0].matches(known.all[0].pair))
  }

  @Test func `a program that declares another life than the settings is not asked to change anything`() async throws {
    let provider = try provider(
      ScriptedProgram { _ in
        try ProgramEnding(.exit(0), #"{"replacement":"cut-over","pairs":[{"known":1,"handle":"k2"}]}"#)
      })
    let found = await failure { _ = try await provider.observe(known: known) }
    #expect(found?.code == .configuration)
  }

  @Test func `with cut-over a program that does not show the secret again is refused before anything is changed`()
    async throws
  {
    let answer = #"{"replacement":"cut-over","pairs":[{"known":1,"place":"primary"}]}"#
    let provider = try provider(
      ScriptedProgram { _ in try ProgramEnding(.exit(0), answer) }, ["replacement": "cut-over"])
    let found = await failure { _ = try await provider.observe(known: known) }
    #expect(found?.code == .configuration && found?.description.contains("would be lost") == true)
  }

  @Test(
    "an answer to stage that is not a new and complete pair is refused",
    arguments: [
      (#"{"pair":{"client_id":"crm","client_secret":"old secret","handle":"k9"}}"#, .configuration, false),
      (#"{"pair":{"client_id":"crm","client_secret":"a \"new\" secret","handle":"k9"}}"#, .configuration, false),
      (#"{"pair":{"client_id":"crm","handle":"k9"}}"#, .malformed, true),
      (#"{"pair":{"client_id":"crm","client_secret":"x"}}"#, .malformed, true), ("{}", .malformed, true),
      (#"{"error":"refused"}"#, .malformed, true), (#"{"error":"occupied"}"#, .occupied, false),
    ] as [(String, ProviderError.Code, Bool)])
  func staged(_ answer: String, _ code: ProviderError.Code, _ mayHaveActed: Bool) async throws {
    let examples = try Self.examples()
    let provider = try provider(
      ScriptedProgram { try ProgramEnding(.exit(0), $0 == "observe" ? examples["observe answer"] ?? "" : answer) })
    let seen = try await provider.observe(known: known)
    let found = await failure { _ = try await provider.stage(seen) }
    #expect(found?.code == code && found?.mayHaveActed == mayHaveActed, "\(String(describing: found))")
  }

  @Test func `what ends as another is made does not administer itself`() async throws {
    let found = await failure {
      _ = try CommandProvider(
        settings: ["program": "/x", "replacement": "cut-over"],
        admin: AdminAccess(name: "crm", settings: [:], isSelf: true) { try pair("crm") },
        transport: RoutedTransport(always: .init(status: 500)))
    }
    #expect(found?.code == .configuration && found?.description.contains("administers itself") == true)
  }

  @Test func `a pair that nobody saw is not deleted, and nobody's is not promoted`() async throws {
    let examples = try Self.examples()
    let program = ScriptedProgram { try ProgramEnding(.exit(0), examples["\($0) answer"] ?? "") }
    let provider = try provider(program)
    let seen = try await provider.observe(known: known)
    for handle in ["", "k2", "k9"] {
      let found = await failure { try await provider.delete(handle: handle, seen) }
      #expect(found?.code == .configuration)
    }
    #expect(program.requests.count == 1)
  }

  @Test func `where no program may be started, none is`() async throws {
    let provider = try CommandProvider(
      settings: ["program": "/x", "replacement": "overlap"],
      admin: AdminAccess(name: "admin", settings: [:]) { try pair("root", "hunter2") },
      transport: RoutedTransport(always: .init()))
    let found = await failure { _ = try await provider.observe(known: known) }
    #expect(found?.code == .notPermitted)
  }

  @Test(
    "settings that cannot work are refused",
    arguments: [
      ["program": "x", "replacement": "overlap"], ["program": "", "replacement": "overlap"], ["program": "/x"],
      ["program": "/x", "replacement": "soon"], ["program": "/x\0y", "replacement": "overlap"],
      ["program": "/x", "replacement": "overlap", "arguments": "--a"],
      ["program": "/x", "replacement": "overlap", "arguments": #"{"a":1}"#],
      ["program": "/x", "replacement": "overlap", "arguments": "[1]"],
      ["program": "/x", "replacement": "overlap", "time-limit": "0s"],
      ["program": "/x", "replacement": "overlap", "time-limit": "91s"],
      ["program": "/x", "replacement": "overlap", "token-url": "nowhere"],
    ] as [[String: String]])
  func settings(_ settings: [String: String]) {
    #expect { try CommandProvider.check(settings) } throws: { ($0 as? ProviderError)?.code == .configuration }
  }
}
