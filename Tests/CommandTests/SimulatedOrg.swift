import Foundation
import Loopback
import Testing

/// `org-simulator` in a process of its own, and its control surface.
final class SimulatedOrg: Sendable {
  struct IssuedPair: Decodable, Hashable, Sendable {
    let key: String
    let secret: String

    /// The pair as `relatch add` takes it and `relatch read` prints it.
    var document: String {
      let escaped = secret.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
      return #"{"client_id":"\#(key)","client_secret":"\#(escaped)"}"#
    }
  }

  struct Slot: Decodable, Sendable {
    let state: String
    let pair: IssuedPair
  }

  struct Consumer: Decodable, Sendable {
    let id: String
    let primary: IssuedPair?
    let slot: Slot?
  }

  struct App: Decodable, Sendable {
    let identifier: String
    let consumers: [Consumer]
  }

  /// One request as the org saw it.
  struct Request: Decodable, Sendable {
    let method: String
    let path: String
    let app: String?
    /// Whether it took effect, whatever the client was told.
    let acted: Bool
    /// For a granted token: whether the consumer's primary pair asked for it, or the other pair.
    let isPrimary: Bool?
  }

  private struct State: Decodable {
    let organizationID: String
    let apps: [App]
  }

  private struct Announcement: Decodable {
    let baseURL: String
  }

  let url: String
  private let running: Running

  init(_ arguments: [String] = [], in folder: URL) async throws {
    let environment = ProcessInfo.processInfo.environment
    running = try Running(Programs.simulator, arguments, stdin: nil, environment: environment, in: folder)
    try await running.wait("the simulator's announcement") { output, _ in output.contains("\n") }
    url = try JSONDecoder().decode(Announcement.self, from: running.said().output).baseURL
  }

  deinit { running.send(SIGKILL) }

  // MARK: - Looking

  private func state() async throws -> State {
    try JSONDecoder().decode(State.self, from: await call("GET", "/__org/state"))
  }

  func organizationID() async throws -> String { try await state().organizationID }

  /// The administrator's app, then the others.
  func apps() async throws -> [App] { try await state().apps }

  /// The consumer as it is now; app 0 is the administrator's.
  func consumer(_ index: Int = 0, ofApp app: Int = 1) async throws -> Consumer {
    try await apps()[app].consumers[index]
  }

  func primary(ofApp app: Int = 1, consumer: Int = 0) async throws -> IssuedPair {
    try #require(try await self.consumer(consumer, ofApp: app).primary)
  }

  /// Every pair that the org knows now.
  func pairs() async throws -> Set<IssuedPair> { Set(try await orderedPairs()) }

  /// The same, starting with the administrator's app; of each consumer, the primary pair before the one in its slot.
  func orderedPairs() async throws -> [IssuedPair] {
    try await apps().flatMap(\.consumers).flatMap { [$0.primary, $0.slot?.pair].compactMap(\.self) }
  }

  /// Every pair that the org ever issued, oldest first.
  func issued() async throws -> [IssuedPair] {
    try JSONDecoder().decode([IssuedPair].self, from: await call("GET", "/__org/issued"))
  }

  func accepts(_ pair: IssuedPair) async throws -> Bool {
    let answer = try await call("POST", "/__org/accepts", ["key": pair.key, "secret": pair.secret])
    return try (JSONSerialization.jsonObject(with: answer) as? [String: Bool])?["accepted"] == true
  }

  /// Whether the token endpoint grants the pair a token, requested as any client would.
  func grants(_ pair: IssuedPair) async throws -> Bool {
    let form = "grant_type=client_credentials&client_id=\(pair.key)&client_secret=\(pair.secret)"
    let answer = try await send("POST", "/services/oauth2/token", Data(form.utf8), "application/x-www-form-urlencoded")
    return String(decoding: answer, as: UTF8.self).contains("access_token")
  }

  /// Every request since the start or since `forgetRequests`, oldest first; of one app if named.
  func requests(ofApp identifier: String? = nil) async throws -> [Request] {
    let all = try JSONDecoder().decode([Request].self, from: await call("GET", "/__org/requests"))
    return all.filter { identifier == nil || $0.app == identifier }
  }

  /// How many requests there were since the last call of this.
  func newRequests() async throws -> Int {
    let answer = try await call("GET", "/__org/requests")
    _ = try await call("DELETE", "/__org/requests")
    return try #require(JSONSerialization.jsonObject(with: answer) as? [Any]).count
  }

  // MARK: - Arranging

  func forgetRequests() async throws { _ = try await call("DELETE", "/__org/requests") }

  func set(_ what: String, _ values: [String: Any]) async throws {
    _ = try await call("POST", "/__org/\(what)", values)
  }

  /// Adds a fault. With `method` nil it matches every method; with `count` nil it never ends.
  func fault(_ kind: String, _ method: String?, _ path: String, count: Int? = nil, _ more: [String: Any] = [:])
    async throws
  {
    let fault: [String: Any] = ["kind": kind, "method": method ?? NSNull(), "path": path, "count": count ?? NSNull()]
    _ = try await call("POST", "/__org/faults", fault.merging(more) { $1 })
  }

  func clearFaults() async throws { _ = try await call("DELETE", "/__org/faults") }

  private func call(_ method: String, _ path: String, _ body: [String: Any]? = nil) async throws -> Data {
    try await send(method, path, try body.map { try JSONSerialization.data(withJSONObject: $0) }, "application/json")
  }

  private func send(_ method: String, _ path: String, _ body: Data?, _ type: String) async throws -> Data {
    let answer = try await LoopbackClient(url).send(method, path, body: body, headers: ["Content-Type": type])
    // Only the token endpoint may refuse: a control request that was not understood is a mistake in a test.
    if path.hasPrefix("/__org/") {
      #expect(answer.status == 200, "\(path): \(String(decoding: answer.body, as: UTF8.self))")
    }
    return answer.body
  }
}
