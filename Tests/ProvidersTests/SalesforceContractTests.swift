import Foundation
import Loopback
import OrgSimulator
import Providers
import Rotation
import Sodium
import Testing
import Vault

/// An app of a simulated org. The org is another program's idea of Salesforce: it shares no code with the client.
private final class OrgHouse: ProviderHouse {
  let server: LoopbackServer
  let isChangedByHand: Bool
  private let org: SimulatorServer
  private let url: String
  private let provider: String
  private let beginning: OrgMoment

  init(_ provider: String, isChangedByHand: Bool = false, _ readings: String...) async throws {
    (self.provider, self.isChangedByHand) = (provider, isChangedByHand)
    org = SimulatorServer(layout: OrgLayout(apps: 1), readings: try OrgReadings(readings))
    url = try await org.start()
    server = try LoopbackServer(before: url)
    beginning = org.moment
  }

  func stop() async {
    server.stop()
    await org.stop()
  }

  func tenancy() async throws -> Tenancy {
    org.restore(beginning)
    let app = try #require(org.integrationApps.first)
    let own = try #require(app.consumers.first?.primary)
    let admin = try #require(org.adminApp.consumers.first?.primary)
    if isChangedByHand {
      return Tenancy(
        provider: provider, settings: ["url": server.url, "app": "CMDB"], pair: try pair(own.key, own.secret),
        person: Clicker(url: url, app: app.identifier) { [org] in org.integrationApps.first?.consumers.first })
    }
    return Tenancy(
      provider: provider, settings: ["url": server.url, "app": app.identifier], pair: try pair(own.key, own.secret),
      admin: .init(settings: ["url": server.url], pair: try pair(admin.key, admin.secret)))
  }

  func accepts(_ pair: Pair) async throws -> Bool {
    org.accepts(key: secretText(pair.clientID), secret: secretText(pair.clientSecret))
  }
}

/// A person who does what the steps say at the app's page, and answers what the page shows.
private struct Clicker: Operator {
  let url: String
  let app: String
  let shown: @Sendable () -> SimulatedConsumer?

  private func click(_ what: String) async throws(ProviderError) {
    let body = Data(#"{"app":"\#(app)","click":"\#(what)"}"#.utf8)
    guard let answer = try? await LoopbackClient(url).send("POST", "/__org/clicks", body: body), answer.status == 200
    else { throw ProviderError(.operatorNeeded, "the page does not do \(what)") }
  }

  private var isStaged: Bool { shown()?.slot?.state == .active }

  func confirms(_ lines: [String], _ question: String) async throws(ProviderError) -> Bool {
    let text = lines.joined(separator: "\n")
    if text.contains(": Generate.") {
      try await click("generate")
    } else if text.contains(": Apply.") {
      // Already done if only the answer was missing.
      if isStaged { try await click("apply") }
    } else if text.contains(": Cancel.") {
      if isStaged { try await click("cancel") }
    } else if !question.contains("not proved") {
      return !isStaged
    }
    return true
  }

  func secrets(_ lines: [String], _ prompts: [String]) async throws(ProviderError) -> [SharedSecret] {
    let consumer = shown()
    let isCurrent = prompts.contains { $0.hasPrefix("current") }
    guard let told = isCurrent ? consumer?.primary : consumer?.slot?.pair,
      let pair = try? pair(told.key, told.secret)
    else { throw ProviderError(.operatorNeeded, "the page shows no such pair") }
    return [try SharedSecret(copying: pair.clientID), try SharedSecret(copying: pair.clientSecret)]
  }

  func tell(_ lines: [String]) async throws(ProviderError) {}
}

/// A person who types one pair whenever one is asked for.
private struct Typist: Operator {
  let id: String

  func confirms(_ lines: [String], _ question: String) async throws(ProviderError) -> Bool { true }

  func secrets(_ lines: [String], _ prompts: [String]) async throws(ProviderError) -> [SharedSecret] {
    guard let pair = try? pair(id) else { return [] }
    return [try SharedSecret(copying: pair.clientID), try SharedSecret(copying: pair.clientSecret)]
  }

  func tell(_ lines: [String]) async throws(ProviderError) {}
}

extension SharedSecret {
  fileprivate convenience init(copying part: borrowing SecretBytes) throws(ProviderError) {
    let copy: SecretBytes
    do { copy = try part.clone() } catch { throw ProviderError(.malformed, "no guarded memory") }
    self.init(copy)
  }
}

@Suite("Salesforce, at a simulated org", .serialized)
struct SalesforceContractTests {
  @Test("keeps the contract of all providers", arguments: ["salesforce", "cloudaware"])
  func contract(_ provider: String) async throws {
    let house = try await OrgHouse(provider)
    let result = await contractResult(house)
    await house.stop()
    try result.get()
  }

  @Test(
    "a connected app keeps it if a person follows the steps, and survives losses at the token endpoint",
    arguments: ["stagedPairGrants=true", "stagedPairGrants=false"])
  func connectedApp(_ reading: String) async throws {
    let house = try await OrgHouse(
      "salesforce-connected-app", isChangedByHand: true, reading, "replacedPairLivesOn=false")
    let result = await contractResult(house)
    await house.stop()
    try result.get()
  }

  @Test("a connected app's current pair, as a person types it, is taken for another's only if it is granted a token")
  func typedCurrent() async throws {
    let person = Typist(id: "3MVG9.of-somebody-else")
    let admin = AdminAccess(name: "crm", settings: settings, isSelf: true, operator: person) { try pair("active-id") }
    let refusing = RoutedTransport(always: .init(status: 400, body: #"{"error":"invalid_client"}"#))
    let provider = try SalesforceConnectedAppProvider(settings: settings, admin: admin, transport: refusing)
    let known = KnownPairs(
      [.init(try pair("active-id"), in: .active), .init(try pair("staged-id"), in: .staged)], mark: "relatch-0")
    let error = await failure { _ = try await provider.observe(known: known) }
    #expect(error?.code == .operatorNeeded, "\(String(describing: error))")
    #expect(refusing.calls.count == 3)
  }

  private func contractResult(_ house: OrgHouse) async -> Result<Void, any Error> {
    do { return .success(try await ProviderContract(house: house).check()) } catch { return .failure(error) }
  }
}
