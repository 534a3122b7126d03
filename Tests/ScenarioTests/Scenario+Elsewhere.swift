import OrgSimulator
import Providers
import Rotation
import Testing
import Transport
import Vault

// What someone else does at the provider, with the same rights but without this vault's memory.
extension Scenario {
  func stageElsewhere() async throws {
    try await elsewhere { provider, known in
      _ = try await provider.stage(provider.observe(known: known))
    }
    noteSecrets()
  }

  func promoteElsewhere() async throws {
    try await elsewhere { provider, known in
      let seen = try await provider.observe(known: known)
      try await provider.promote(handle: #require(seen.others.first).handle, seen)
    }
    noteSecrets()
  }

  func deleteElsewhere() async throws {
    try await elsewhere { provider, known in
      let seen = try await provider.observe(known: known)
      try await provider.delete(handle: #require(seen.others.first).handle, seen)
    }
  }

  private func elsewhere(_ body: (SalesforceProvider, KnownPairs) async throws -> Void) async throws {
    let transport = CurlTransport()
    let credential = try await credential()
    let admin = try #require(server.adminApp.consumers.first?.primary)
    let provider = try SalesforceProvider(
      settings: credential.settings,
      admin: AdminAccess(name: "someone", settings: credential.settings) { try ScenarioTests.pair(admin) },
      transport: transport)
    let known = try await vault.pairs(
      of: "crm", choosing: { $0.versions.filter { $0.stage != .retired } }, event: .pairUsed, now: clock.now())
    let result: Result<Void, any Error>
    do {
      result = .success(
        try await body(provider, KnownPairs(known.map { .init($0.pair, in: $0.version.stage) }, mark: "elsewhere")))
    } catch { result = .failure(error) }
    await transport.shutdown()
    // The order of requests and entries is checked only for our own runs.
    server.forgetRequests()
    timeline.forget()
    try result.get()
  }

  /// The vault's pairs are accepted and its log is intact, whoever made the requests.
  func checkNothingLost(_ when: String) async throws {
    #expect(try await isAccepted(.active), "\(when)")
    _ = try await logIsIntact()
  }
}
