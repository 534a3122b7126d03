import Delivery
import Rotation
import Sodium
import Vault

@testable import Providers
@testable import Transport

let commandTargets = [
  FuzzTarget("command-answer", seeds: { answers }) { input in
    guard let first = input.first else { return }
    let kind = [Replacement.overlap, .promotion, .cutOver][Int(first) % 3]
    let provider = try provider(kind, answering: Array(input.dropFirst()))
    let known = KnownPairs(
      [
        .init(pair("crm", "old"), in: .previous, handle: "k1"), .init(pair("crm", "new"), in: .active, handle: "k2"),
      ], isStaging: true, mark: "relatch-c", attempt: "1-1")
    wait {
      if let evidence = try? await provider.grant(pair("crm", "new")) {
        require((200...299).contains(evidence.status), "a token with the status \(evidence.status)")
      }
      guard let seen = try? await provider.observe(known: known) else { return }
      let handles = ([seen.primary] + seen.others).map(\.handle).filter { !$0.isEmpty }
      require(Set(handles).count == handles.count, "two pairs with one handle")
      require(
        handles.allSatisfy { $0.utf8.count <= 128 && $0.utf8.allSatisfy { (0x21...0x7E).contains($0) } },
        "a handle that is no name")
      for one in known.all where seen.primary.matches(one.pair) {
        require(!seen.others.contains { $0.matches(one.pair) }, "a pair that is primary and is not")
      }
      if let made = try? await provider.stage(seen) {
        require(made.clientSecret != nil && made.place == .staged, "a new pair without a secret")
        for one in known.all where ([seen.primary] + seen.others).contains(where: { $0.matches(one.pair) }) {
          require(!made.matches(one.pair) || kind == .cutOver, "a new pair that was there before")
        }
      }
      for handle in handles + ["k1"] {
        try? await provider.promote(handle: handle, seen)
        try? await provider.delete(handle: handle, seen)
      }
    }
  },
  FuzzTarget("allowed-programs", seeds: { lists }) { input in
    let (mine, other) = (["/opt/acme", "--project", "é"], ["/opt/acme"])
    let all = ProgramLines.adding(mine, vault, to: input)
    require(ProgramLines.allow(mine, vault, in: all), "a line that allows nothing")
    require(
      ProgramLines.allow(other, vault, in: all) == ProgramLines.allow(other, vault, in: input),
      "a line that allows another program")
    // Without its last bytes it is a different line, or none.
    require(
      ProgramLines.allow(mine, vault, in: Array(all.dropLast(2))) == ProgramLines.allow(mine, vault, in: input),
      "half a line that allows something")
  },
]

private let vault = made { () throws -> Identifier in
  guard let vault = Identifier("000102030405060708090a0b0c0d0e0f") else { throw ProviderError(.malformed, "") }
  return vault
}
private let lists = [
  Array((ProgramLines.line(["/opt/acme"], vault) + "\n").utf8),
  Array(#"{ "vault":"000102030405060708090a0b0c0d0e0f", "arguments":["/opt/acme","--project","\u00e9"] }"#.utf8),
  Array("\n\n{\n".utf8),
]
private let texts: [String] = [
  #"""
  {"replacement":"overlap","pairs":[{"known":0,"handle":"k1","expires":"2026-12-01T00:00:00Z"},{"known":1,"handle":"k2"},
  {"client_id":"crm","handle":"k3","key":"relatch-c-1-1"}],
  "pair":{"client_id":"crm","client_secret":"x","handle":"k4"},"status":200}
  """#,
  #"""
  {"replacement":"promotion","pairs":[{"known":1,"place":"primary"},{"known":0,"handle":"k1","place":"replaced"},
  {"client_id":"a","client_secret":"b","handle":"k3","place":"staged"}],
  "pair":{"client_id":"crm","client_secret":"x","handle":"k4"}}
  """#,
  #"""
  {"replacement":"cut-over","pairs":[{"client_id":"crm","client_secret":"new","place":"primary"},
  {"known":0,"handle":"k1","place":"replaced"}],"pair":{"client_id":"crm","client_secret":"x"}}
  """#,
  #"{"error":"occupied"}"#, #"{"error":"refused","status":401}"#, #"{"error":"not-found"}"#,
]
private let answers: [[UInt8]] = texts.flatMap { text -> [[UInt8]] in
  let bytes = Array(text.utf8)
  return [[0] + bytes, [1] + bytes, [2] + bytes]
}

private func pair(_ id: String, _ secret: String) -> Pair {
  made {
    Pair(
      clientID: try SecretBytes(copying: Array(id.utf8).span.bytes),
      clientSecret: try SecretBytes(copying: Array(secret.utf8).span.bytes))
  }
}

/// A program that gives the same answer to every request.
private struct OneProgram: ProgramHost {
  let answer: [UInt8]

  func run(_ call: ProgramCall) async throws(ProviderError) -> ProgramEnding {
    do { return ProgramEnding(.exit(0), output: try guarded(answer), said: "") } catch {
      throw ProviderError(.malformed, "no guarded memory")
    }
  }
}

/// Fails every request: a provider whose program proves pairs sends none.
private struct NoTransport: HTTPTransport {
  func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
    throw TransportError(.outOfResources, host: "", "nobody is there")
  }
}

private func provider(_ replacement: Replacement, answering answer: [UInt8]) throws -> CommandProvider {
  let settings = ["program": "/opt/acme", "replacement": replacement.rawValue]
  return try CommandProvider(
    settings: settings,
    admin: AdminAccess(name: "admin", settings: settings, programs: OneProgram(answer: answer)) { pair("root", "r") },
    transport: NoTransport())
}
