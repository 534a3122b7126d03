import Foundation
import Providers
import Synchronization
import Testing
import Vault

// Servers that answer as the documents named in each provider's descriptor say. Their contents are made up.

/// One application at a vendor, its secrets in the order in which they were made, and an administering client.
final class VendorServer: ProviderHouse {
  struct Secret: Sendable {
    let id: String
    let text: String
    var name: String?
    var isActive = true
    var end: String?
  }

  struct State: Sendable {
    let clientID: String
    var secrets: [Secret]
    var made = 1
    /// Whether the management interface shows a secret that it can show.
    var showsSecret = true
    /// Whether an answer about the rotated secret breaks off before its first byte.
    var cutsRotated = false
    /// Whether a replaced secret lives on for a time.
    var keepsOld = false
    /// How many requests to delete a secret are answered with 503 and delete nothing.
    var troubles = 0
    /// The application's client, if it is not the one for which `ofAnother` are accepted.
    var appClientID: String?
    /// Secrets of the client `clientID` that are in no application that is asked about.
    var ofAnother: [Secret] = []
    /// Every secret ever made, and whether every second connection is answered by a node that does not know which have
    /// ended.
    var everMade: [String] = []
    var isOneNodeLate = false
    /// On which connections everybody is refused a token, and whether a deletion only seems to happen.
    var isOut: @Sendable (_ connection: Int) -> Bool = { _ in false }
    var keepsDeleted = false
    /// What a secret's identifier begins with.
    var identifier = "0000000a"
    /// The answer to a client with the right secret, by its identifier, if it is granted no token all the same.
    var withheld: [String: LoopbackServer.Answer] = [:]
    /// The time in Entra's answers, and the code with which it makes no password that ends then.
    var date: String?
    var refusesPassword: @Sendable (_ end: String?) -> String? = { _ in nil }
    /// What Entra has deleted, but lists and accepts until it was asked for this many more lists.
    var late: [Secret] = []
    var lateLists = 0

    func accepts(_ id: String, _ secret: String) -> Bool {
      id == (appClientID ?? clientID) && (secrets + late).contains { $0.isActive && $0.text == secret }
        || id == clientID && ofAnother.contains { $0.isActive && $0.text == secret }
    }

    mutating func make(_ name: String? = nil) -> Secret {
      made += 1
      // Like a vendor's, with characters that a form must encode.
      let secret = Secret(id: "\(identifier)-\(made)", text: "\(made)~+/=\(UUID().uuidString)", name: name)
      secrets.append(secret)
      everMade.append(secret.text)
      return secret
    }
  }

  typealias Answers = @Sendable (LoopbackServer.Request, inout State) -> LoopbackServer.Answer

  let server: LoopbackServer
  private let box: Box
  private let kind: String
  private let settings: @Sendable (_ url: String) -> [String: String]

  private final class Box: Sendable {
    let state: Mutex<State>
    init(_ state: State) { self.state = Mutex(state) }
  }

  /// `tokenPath` is the token endpoint; `refusal` is its answer to a wrong pair.
  init(
    _ kind: String, tokenPath: String, refusal: (status: Int, body: [String: String]),
    administrator: String = "Bearer admin-token", keepsConnections: Bool = false,
    settings: @escaping @Sendable (_ url: String) -> [String: String], _ answers: @escaping Answers
  ) throws {
    self.kind = kind
    self.settings = settings
    let box = Box(State(clientID: "client-id", secrets: []))
    self.box = box
    server = try LoopbackServer(keepsConnections: keepsConnections) { request in
      box.state.withLock { state in
        if request.path == tokenPath {
          guard !state.isOut(request.connection) else { return .json(refusal.status, refusal.body) }
          let (id, secret) = (request.form["client_id"] ?? "", request.form["client_secret"] ?? "")
          // An API token is not a client's secret.
          if administrator.hasPrefix("Bearer "), id == "admin", secret == "admin-secret" {
            return state.withheld[id] ?? .json(200, ["access_token": "admin-token", "token_type": "Bearer"])
          }
          let isLate = state.isOneNodeLate && request.connection.isMultiple(of: 2) && state.everMade.contains(secret)
          guard isLate && id == state.clientID || state.accepts(id, secret) else {
            return .json(refusal.status, refusal.body)
          }
          return state.withheld[id] ?? .json(200, ["access_token": "t", "token_type": "Bearer", "expires_in": 3600])
        }
        guard request.headers["authorization"] == administrator else {
          return .json(401, ["error": "unauthorized"])
        }
        return answers(request, &state)
      }
    }
  }

  func change(_ body: @Sendable (inout State) -> Void) { box.state.withLock { body(&$0) } }
  var secrets: [Secret] { box.state.withLock { $0.secrets } }

  func tenancy() async throws -> Tenancy {
    let secret = box.state.withLock { state in
      state.secrets = []
      return state.make()
    }
    let settings = settings(server.url)
    return Tenancy(
      provider: kind, settings: settings, pair: try pair("client-id", secret.text),
      admin: .init(settings: settings, pair: try pair("admin", "admin-secret")))
  }

  func accepts(_ pair: Pair) async throws -> Bool {
    let (id, text) = (secretText(pair.clientID), secretText(pair.clientSecret))
    return box.state.withLock { $0.accepts(id, text) }
  }

  static func named(_ kind: String) throws -> VendorServer {
    switch kind {
    case "auth0": try auth0()
    case "keycloak": try keycloak(policy: false)
    case "okta": try okta()
    default: try entra()
    }
  }

  static func auth0() throws -> VendorServer {
    try VendorServer(
      "auth0", tokenPath: "/oauth/token",
      refusal: (401, ["error": "access_denied", "error_description": "Unauthorized"]),
      settings: { ["url": $0, "client": "client-id"] }
    ) { request, state in
      func shown() -> LoopbackServer.Answer {
        var members = ["client_id": state.clientID]
        if state.showsSecret, let last = state.secrets.last { members["client_secret"] = last.text }
        return .json(200, members)
      }
      switch (request.method, request.path) {
      case ("GET", "/api/v2/clients/client-id"): return shown()
      case ("POST", "/api/v2/clients/client-id/rotate-secret"):
        let made = state.make()
        state.secrets = [made]
        return shown()
      default: return .json(404, ["statusCode": 404, "error": "Not Found"])
      }
    }
  }

  /// With `policy` the realm keeps the old secret as the rotated one.
  static func keycloak(policy: Bool) throws -> VendorServer {
    let path = "/admin/realms/main/clients/5b1d/client-secret"
    let server = try VendorServer(
      "keycloak", tokenPath: "/realms/main/protocol/openid-connect/token",
      refusal: (
        401, ["error": "unauthorized_client", "error_description": "Invalid client or Invalid client credentials"]
      ),
      settings: { ["url": $0, "realm": "main", "client": "5b1d"] }
    ) { request, state in
      switch (request.method, request.path) {
      case ("GET", path): return .json(200, ["type": "secret", "value": state.secrets.last?.text ?? ""])
      case ("POST", path):
        let made = state.make()
        state.secrets = state.keepsOld ? Array(state.secrets.suffix(2)) : [made]
        return .json(200, ["type": "secret", "value": made.text])
      case ("GET", path + "/rotated") where state.cutsRotated: return LoopbackServer.Answer(status: 200)
      case ("GET", path + "/rotated"):
        guard state.secrets.count > 1 else { return .json(404, ["error": "Client does not have a rotated secret"]) }
        return .json(200, ["type": "secret", "value": state.secrets[0].text])
      case ("DELETE", path + "/rotated"):
        guard state.secrets.count > 1 else { return .json(404, ["error": "Client does not have a rotated secret"]) }
        state.secrets.removeFirst()
        return .empty(204)
      default: return .json(404, ["error": "HTTP 404 Not Found"])
      }
    }
    server.change { $0.keepsOld = policy }
    return server
  }

  static func entra(keepsConnections: Bool = false) throws -> VendorServer {
    try VendorServer(
      "entra", tokenPath: "/contoso/oauth2/v2.0/token",
      refusal: (
        401, ["error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."]
      ),
      keepsConnections: keepsConnections,
      settings: { ["tenant": "contoso", "object": "0a1b", "login-url": $0, "graph-url": $0] }
    ) { request, state in
      func shown(_ secret: Secret, withText: Bool) -> [String: Any] {
        var members: [String: Any] = [
          "keyId": secret.id, "hint": String(secret.text.prefix(3)),
          "endDateTime": secret.end ?? "2028-11-22T00:00:00Z", "displayName": secret.name ?? NSNull(),
          "secretText": NSNull(),
        ]
        if withText { members["secretText"] = secret.text }
        return members
      }
      switch (request.method, request.path) {
      case ("GET", "/v1.0/applications/0a1b"):
        var answer = LoopbackServer.Answer.json(
          200,
          [
            "appId": state.clientID,
            "passwordCredentials": (state.secrets + state.late).map { shown($0, withText: false) },
          ])
        answer.headers["Date"] = state.date
        state.lateLists -= state.late.isEmpty ? 0 : 1
        if state.lateLists == 0 { state.late = [] }
        return answer
      case ("POST", "/v1.0/applications/0a1b/addPassword"):
        let wanted = request.json["passwordCredential"] as? [String: Any]
        let end = wanted?["endDateTime"] as? String
        if let code = state.refusesPassword(end) {
          return .json(400, ["error": ["code": code, "message": "Refused by policy 'f00'."]])
        }
        var made = state.make(wanted?["displayName"] as? String)
        made.end = end
        state.secrets[state.secrets.count - 1] = made
        return .json(200, shown(made, withText: true))
      case ("POST", "/v1.0/applications/0a1b/removePassword"):
        guard let index = state.secrets.firstIndex(where: { $0.id == request.json["keyId"] as? String }) else {
          return .json(400, ["error": ["code": "Request_BadRequest", "message": "No password credential found"]])
        }
        if !state.keepsDeleted {
          let gone = state.secrets.remove(at: index)
          if state.lateLists > 0 { state.late.append(gone) }
        }
        return .empty(204)
      default: return .json(404, ["error": ["code": "Request_ResourceNotFound"]])
      }
    }
  }

  static func okta() throws -> VendorServer {
    let app = "/api/v1/apps/0oa1"
    let path = app + "/credentials/secrets"
    return try VendorServer(
      "okta", tokenPath: "/oauth2/default/v1/token",
      refusal: (401, ["error": "invalid_client", "error_description": "The client secret supplied is invalid."]),
      administrator: "SSWS admin-secret",
      settings: {
        ["url": $0, "token-url": $0 + "/oauth2/default/v1/token", "app": "0oa1", "authentication": "body"]
      }
    ) { request, state in
      func shown(_ secret: Secret, isNew: Bool = false) -> [String: Any] {
        var members: [String: Any] = [
          "id": secret.id.filter { $0 != "-" }, "status": secret.isActive ? "ACTIVE" : "INACTIVE",
          "secret_hash": "yk4SVx4sUWVJVbHt6M-UPA",
        ]
        if isNew || state.showsSecret { members["client_secret"] = secret.text }
        return members
      }
      if request.path == app, request.method == "GET" {
        let client = ["client_id": state.appClientID ?? state.clientID]
        return .json(200, ["id": "0oa1", "name": "oidc_client", "credentials": ["oauthClient": client]])
      }
      guard request.path.hasPrefix(path) else { return .json(404, ["errorCode": "E0000007"]) }
      if request.path == path {
        guard request.method == "POST" else { return .json(200, state.secrets.map { shown($0) }) }
        guard state.secrets.count < 2 else { return .json(400, ["errorCode": "E0000001"]) }
        let made = state.make()
        return .json(201, shown(made, isNew: true))
      }
      let rest = request.path.dropFirst(path.count + 1).split(separator: "/")
      guard let id = rest.first,
        let index = state.secrets.firstIndex(where: { $0.id.filter { $0 != "-" } == id })
      else { return .json(404, ["errorCode": "E0000007"]) }
      switch (request.method, rest.count) {
      case ("GET", 1): return .json(200, shown(state.secrets[index]))
      case ("POST", 3):
        state.secrets[index].isActive = false
        return .json(200, shown(state.secrets[index]))
      case ("DELETE", 1):
        guard !state.secrets[index].isActive else { return .json(400, ["errorCode": "E0000001"]) }
        guard state.troubles == 0 else {
          state.troubles -= 1
          return .empty(503)
        }
        state.secrets.remove(at: index)
        return .empty(204)
      default: return .empty(405)
      }
    }
  }
}
