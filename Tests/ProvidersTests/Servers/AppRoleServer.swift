import Foundation
import Synchronization
import Testing
import Vault

/// A server that answers for one AppRole as OpenBao's documentation says, and as a crowded server would.
final class AppRoleServer: ProviderHouse {
  struct State: Sendable {
    /// Accessors by secret-id, each with its mark.
    var secretIDs: [String: (accessor: String, metadata: String)] = [:]
    var made = 0
    /// How many more accessors the list has, about which nothing else is known.
    var crowd = 0
    /// Accessors that are also listed, and the answers to looking them up.
    var strange: [String: LoopbackServer.Answer] = [:]
    /// The answer to looking up a secret-id itself, whichever it is; nil for the true answer.
    var lookup: LoopbackServer.Answer?

    mutating func make(_ metadata: String = "{}") -> (secret: String, accessor: String) {
      made += 1
      secretIDs["secret-id-\(made)"] = ("accessor-\(made)", metadata)
      return ("secret-id-\(made)", "accessor-\(made)")
    }
  }

  private final class Box: Sendable {
    let state = Mutex(State())
  }

  let server: LoopbackServer
  private let box: Box

  init() throws {
    let box = Box()
    self.box = box
    server = try LoopbackServer { request in box.state.withLock { Self.answer(request, &$0) } }
  }

  func change(_ body: @Sendable (inout State) -> Void) { box.state.withLock { body(&$0) } }

  var count: Int { box.state.withLock { $0.secretIDs.count } }

  func tenancy() async throws -> Tenancy {
    let made = box.state.withLock { $0.make() }
    return Tenancy(
      provider: "openbao-approle", settings: ["url": server.url, "role": "crm"],
      pair: try pair("role-id", made.secret),
      admin: .init(settings: ["url": server.url], pair: try pair("admin", "admin-secret")))
  }

  func accepts(_ pair: Pair) async throws -> Bool {
    let secret = secretText(pair.clientSecret)
    return box.state.withLock { $0.secretIDs[secret] != nil }
  }

  private static func answer(_ request: LoopbackServer.Request, _ state: inout State) -> LoopbackServer.Answer {
    let (id, accessor) = (request.json["secret_id"] as? String, request.json["secret_id_accessor"] as? String)
    let gone = LoopbackServer.Answer.json(500, ["errors": ["failed to find accessor entry for secret_id_accessor"]])
    guard request.path != "/v1/auth/approle/login" else {
      let isAdmin = request.json["role_id"] as? String == "admin" && id == "admin-secret"
      guard isAdmin || id.map({ state.secretIDs[$0] != nil }) == true else {
        return .json(400, ["errors": ["invalid role or secret ID"]])
      }
      return .json(200, ["auth": ["client_token": isAdmin ? "root" : "t"]])
    }
    guard request.headers["x-vault-token"] == "root" else { return .json(403, ["errors": ["permission denied"]]) }
    switch (request.method, request.path.replacing("/v1/auth/approle/role/crm/", with: "")) {
    case ("POST", "secret-id"):
      let made = state.make(request.json["metadata"] as? String ?? "{}")
      return .json(
        200,
        ["data": ["secret_id": made.secret, "secret_id_accessor": made.accessor, "secret_id_num_uses": 0]])
    case ("GET", "secret-id"):
      let crowd = (0..<state.crowd).map { "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2\(1_000_000 + $0)" }
      return .json(200, ["data": ["keys": state.secretIDs.values.map(\.accessor) + state.strange.keys + crowd]])
    case ("POST", "secret-id/lookup"):
      if let answer = state.lookup { return answer }
      guard let id, let found = state.secretIDs[id] else { return .empty(204) }
      return .json(
        200, ["data": ["secret_id_accessor": found.accessor, "expiration_time": "0001-01-01T00:00:00Z"]])
    case ("POST", "secret-id-accessor/lookup"):
      guard let accessor else { return .empty(400) }
      if let answer = state.strange[accessor] { return answer }
      guard let found = state.secretIDs.values.first(where: { $0.accessor == accessor }) else {
        return accessor.hasPrefix("0a1b2c3d") ? .json(200, ["data": ["metadata": [:]]]) : gone
      }
      let metadata = try? JSONSerialization.jsonObject(with: Data(found.metadata.utf8))
      return .json(200, ["data": ["metadata": metadata ?? [:]]])
    case ("POST", "secret-id-accessor/destroy"):
      guard let secret = state.secretIDs.first(where: { $0.value.accessor == accessor })?.key else { return gone }
      state.secretIDs[secret] = nil
      return .empty(204)
    default: return .empty(404)
    }
  }
}
