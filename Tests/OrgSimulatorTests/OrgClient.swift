import Foundation
import Loopback
import OrgSimulator
import Testing

/// A plain HTTP client that uses nothing of ours: what the org answers, and whether it answered at all.
struct OrgClient {
  struct Answer {
    let status: Int
    let headers: [String: String]
    let body: Data

    var object: [String: Any] { (try? JSONSerialization.jsonObject(with: body) as? [String: Any]) ?? [:] }
    var list: [[String: Any]] { (try? JSONSerialization.jsonObject(with: body) as? [[String: Any]]) ?? [] }
    var errorCode: String? { list.first?["errorCode"] as? String ?? object["error"] as? String }
    var staged: [[String: Any]] { object["stagedCredentials"] as? [[String: Any]] ?? [] }
    func text(_ name: String) -> String { object[name] as? String ?? "" }
  }

  let base: String

  init(_ base: String) { self.base = base }

  func send(
    _ method: String, _ path: String, body: String? = nil, headers: [String: String] = [:]
  ) async throws -> Answer {
    let answer = try await LoopbackClient(base).send(
      method, path, body: body.map { Data($0.utf8) }, headers: headers)
    return Answer(status: answer.status, headers: answer.headers, body: answer.body)
  }

  func token(_ key: String, _ secret: String) async throws -> Answer {
    let allowed = CharacterSet.alphanumerics
    func encoded(_ text: String) -> String { text.addingPercentEncoding(withAllowedCharacters: allowed) ?? "" }
    return try await send(
      "POST", "/services/oauth2/token",
      body: "grant_type=client_credentials&client_id=\(encoded(key))&client_secret=\(encoded(secret))",
      headers: ["Content-Type": "application/x-www-form-urlencoded"])
  }

  func token(_ pair: IssuedPair?) async throws -> Answer {
    let pair = try #require(pair)
    return try await token(pair.key, pair.secret)
  }
}

/// A running org, its administrator's session, and the one app to be rotated.
struct Bench {
  let server: SimulatorServer
  let client: OrgClient
  let admin: String
  let app: SimulatedApp

  var consumerID: String { app.consumers[0].id }
  var path: String { "/services/data/v65.0/apps/oauth/credentials/\(app.identifier)/\(consumerID)" }
  var now: SimulatedConsumer? { server.consumer(consumerID, ofApp: app.identifier) }

  func call(_ method: String, _ path: String, body: String? = nil) async throws -> OrgClient.Answer {
    try await client.send(
      method, path, body: body, headers: ["Authorization": "Bearer \(admin)", "Content-Type": "application/json"])
  }

  func stage() async throws -> OrgClient.Answer { try await call("POST", path + "/staged", body: "{}") }

  func rotate(_ id: String) async throws -> OrgClient.Answer {
    try await call("PATCH", path + "/staged/\(id)", body: #"{"command":"rotate"}"#)
  }

  /// Stages and rotates, and returns the pair that was replaced.
  func replace() async throws -> IssuedPair {
    let old = try #require(now?.primary)
    #expect(try await stage().status < 300)
    #expect(try await rotate(#require(now?.slot?.id)).status < 300)
    return old
  }
}

/// Runs `body` against a fresh org, and stops the org even after a failure.
func withOrg(
  _ layout: OrgLayout = OrgLayout(), clock: OrgClock = .real, readings change: (inout OrgReadings) -> Void = { _ in },
  _ body: (Bench) async throws -> Void
) async throws {
  var readings = OrgReadings()
  change(&readings)
  let server = SimulatorServer(layout: layout, readings: readings, clock: clock)
  let client = OrgClient(try await server.start())
  do {
    let admin = try await client.token(server.adminApp.consumers[0].primary)
    server.forgetRequests()
    try await body(
      Bench(server: server, client: client, admin: admin.text("access_token"), app: server.integrationApps[0]))
  } catch {
    await server.stop()
    throw error
  }
  await server.stop()
}
