import Foundation
import Rotation
import Sodium
import Synchronization
import Testing
import Vault

/// A server that answers as RFC 7591 and RFC 7592 say, and in the ways of servers that do not quite.
final class RegistrationServer: ProviderHouse {
  struct Client: Sendable {
    var secret: String
    var token: String
    var metadata: [String: String]
  }

  struct Ways: Sendable {
    /// A registration gives out a secret.
    var givesSecret = true
    /// A PUT makes another secret.
    var changesSecret = true
    /// A client's registration shows its secret.
    var showsSecret = true
    /// Except in the answer that makes it, the secret is shown as stars.
    var masksSecret = false
    /// Reading a client gives out another token.
    var changesToken = false
    /// The same, but the one before stays the one that manages the client.
    var signsAnew = false
    /// Only a PUT gives out another token.
    var changesTokenAtPut = false
    /// The answer to a PUT shows the secret that was there before.
    var showsOldAtPut = false
    /// The answer to a PUT shows another client.
    var showsAnotherAtPut = false
    /// Reading a client that is not the first gives out another secret; with `first`, reading the first does too.
    var changesSecretAtGet: (isSo: Bool, first: Bool) = (false, false)
    /// A registration with metadata that a client already has answers with that client.
    var registersOnce = false
    /// What each token ends with.
    var tokenEnd = ""
    /// Somebody says that the server keeps a client's token.
    var isVouchedFor = true
    /// A registration needs a token of this client.
    var registrar: String?
    /// The answer to a wrong secret.
    var refusal = (status: 401, body: #"{"error":"invalid_client"}"#)
    /// How many times the token endpoint still accepts a client that was deleted.
    var lingers = 0
  }

  private struct State: Sendable {
    var clients: [String: Client] = [:]
    var made = 0
    var ways = Ways()
    /// The status with which requests to manage a client are answered, if it may not be managed.
    var unmanageable: [String: Int] = [:]
    var lingering: [String: Client] = [:]
  }

  private let mode: String
  let server: LoopbackServer

  init(mode: String, _ ways: Ways = Ways()) throws {
    let state = Box(State())
    self.mode = mode
    state.value.withLock { $0.ways = ways }
    shared = state
    server = try LoopbackServer { request in state.value.withLock { Self.answer(request, &$0) } }
  }

  /// What the server's threads and the tests share.
  private final class Box: Sendable {
    let value: Mutex<State>
    init(_ state: State) { value = Mutex(state) }
  }

  private let shared: Box

  func tenancy() async throws -> Tenancy {
    let (id, client, registrar, isVouchedFor) = shared.value.withLock { state in
      let id = Self.make(["client_name": "crm", "scope": "api"], &state)
      return (id, state.clients[id], state.ways.registrar, state.ways.isVouchedFor)
    }
    var settings = [
      "token-url": server.url + "/token", "registration-url": server.url + "/register", "mode": mode, "scope": "api",
    ]
    if mode == "cut-over", isVouchedFor { settings["keeps-token"] = "yes" }
    return Tenancy(
      provider: "oauth-registration", settings: settings,
      pair: try pair(id, #require(client).secret, token: #require(client).token),
      admin: try registrar.map {
        Tenancy.Administrator(settings: ["token-url": server.url + "/token"], pair: try pair($0, "secret-of-\($0)"))
      })
  }

  func accepts(_ pair: Pair) async throws -> Bool {
    let (id, secret) = (secretText(pair.clientID), secretText(pair.clientSecret))
    return shared.value.withLock { $0.clients[id]?.secret == secret }
  }

  /// How many clients there are.
  var count: Int { shared.value.withLock { $0.clients.count } }

  /// Gives every client another secret, as if someone else did.
  func changeSecrets() {
    shared.value.withLock { state in for id in state.clients.keys { state.clients[id]?.secret = "elsewhere-\(id)" } }
  }

  func setWays(_ body: @Sendable (inout Ways) -> Void) { shared.value.withLock { body(&$0.ways) } }

  /// Sets whether a client's registration shows its secret from now on.
  func setShowsSecret(_ shows: Bool) { shared.value.withLock { $0.ways.showsSecret = shows } }

  /// Whether the client of `pair` can be managed with the token that `pair` has.
  func isManaged(by pair: Pair) -> Bool {
    let (id, token) = (secretText(pair.clientID), pair.registrationToken.map { secretText($0.secret) })
    return shared.value.withLock { $0.clients[id].map { $0.token == token } ?? false }
  }

  /// Lets nobody manage the client of `pair`, which lives on: each such request is answered with `status`.
  func forbid(_ pair: Pair, _ status: Int) {
    let id = secretText(pair.clientID)
    shared.value.withLock { $0.unmanageable[id] = status }
  }

  /// Deletes the client of `pair`, as if by hand.
  func remove(_ pair: Pair) {
    let id = secretText(pair.clientID)
    shared.value.withLock { state in
      state.clients[id] = nil
      state.unmanageable[id] = nil
    }
  }

  /// Gives the client of `pair` another secret, as if someone else did.
  func changeSecret(of pair: Pair) {
    let id = secretText(pair.clientID)
    shared.value.withLock { $0.clients[id]?.secret = "elsewhere-\(id)" }
  }

  private static func make(_ metadata: [String: String], _ state: inout State) -> String {
    state.made += 1
    let id = "client/ \(state.made)"
    state.clients[id] = Client(
      secret: "s\(state.made)+=\"x", token: "token-\(state.made)" + state.ways.tokenEnd, metadata: metadata)
    return id
  }

  private static func answer(_ request: LoopbackServer.Request, _ state: inout State) -> LoopbackServer.Answer {
    let bearer = request.headers["authorization"].flatMap { $0.hasPrefix("Bearer ") ? String($0.dropFirst(7)) : nil }
    if request.path == "/token" { return token(request, &state) }
    if request.path == "/register", request.method == "POST" {
      if let registrar = state.ways.registrar, bearer != "access-of-\(registrar)" { return .empty(401) }
      let metadata = request.json.compactMapValues { $0 as? String }
      guard metadata["client_id"] == nil, metadata["client_secret"] == nil else { return .empty(400) }
      if state.ways.registersOnce, let same = state.clients.first(where: { $0.value.metadata == metadata }) {
        return shown(same.key, state, status: 201, isNew: true)
      }
      let id = make(metadata, &state)
      return shown(id, state, status: 201, isNew: true)
    }
    guard request.path.hasPrefix("/register/"),
      let id = String(request.path.dropFirst("/register/".count)).removingPercentEncoding,
      let client = state.clients[id], bearer == client.token
    else { return .empty(401) }
    if let status = state.unmanageable[id] { return .empty(status) }
    switch request.method {
    case "GET":
      if state.ways.changesToken {
        state.made += 1
        state.clients[id]?.token = "token-\(state.made)"
      }
      if state.ways.signsAnew {
        var anew = state
        anew.clients[id]?.token = client.token + "-anew"
        return shown(id, anew, status: 200, isNew: false)
      }
      if state.ways.changesSecretAtGet.isSo, state.ways.changesSecretAtGet.first || id != "client/ 1" {
        state.made += 1
        state.clients[id]?.secret = "read\(state.made)"
      }
      return shown(id, state, status: 200, isNew: false)
    case "PUT":
      guard request.json["client_id"] as? String == id, request.json["client_secret"] == nil else {
        return .json(400, ["error": "invalid_client_metadata"])
      }
      state.made += 1
      if state.ways.changesSecret { state.clients[id]?.secret = "s\(state.made)" }
      if state.ways.changesTokenAtPut { state.clients[id]?.token = "token-\(state.made)" }
      if state.ways.showsOldAtPut || state.ways.showsAnotherAtPut {
        var old = state
        if state.ways.showsOldAtPut { old.clients[id]?.secret = client.secret }
        return shown(id, old, status: 200, isNew: true, as: state.ways.showsAnotherAtPut ? "another" : id)
      }
      return shown(id, state, status: 200, isNew: true)
    case "DELETE":
      state.lingering[id] = client
      state.clients[id] = nil
      return .empty(204)
    default: return .empty(405)
    }
  }

  private static func shown(
    _ id: String, _ state: State, status: Int, isNew: Bool, as name: String? = nil
  ) -> LoopbackServer.Answer {
    guard let client = state.clients[id] else { return .empty(401) }
    var members: [String: Any] = client.metadata
    members["client_id"] = name ?? id
    members["registration_access_token"] = client.token
    members["registration_client_uri"] = "/register/\(id)"
    members["client_secret_expires_at"] = 0
    if isNew && state.ways.givesSecret || state.ways.showsSecret { members["client_secret"] = client.secret }
    if !isNew, state.ways.masksSecret { members["client_secret"] = "********" }
    return .json(status, members)
  }

  private static func token(_ request: LoopbackServer.Request, _ state: inout State) -> LoopbackServer.Answer {
    let basic = request.headers["authorization"]?.dropFirst("Basic ".count)
    let text = basic.flatMap { Data(base64Encoded: String($0)) }.map { String(decoding: $0, as: UTF8.self) } ?? ":"
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      .map { $0.removingPercentEncoding ?? "" }
    if let registrar = state.ways.registrar, parts == [registrar, "secret-of-\(registrar)"] {
      return .json(200, ["access_token": "access-of-\(registrar)", "token_type": "Bearer"])
    }
    let isLingering = state.ways.lingers > 0 && state.lingering[parts[0]]?.secret == parts[1]
    if isLingering { state.ways.lingers -= 1 }
    guard isLingering || state.clients[parts[0]]?.secret == parts[1], request.form["scope"] == "api" else {
      return LoopbackServer.Answer(status: state.ways.refusal.status, body: Data(state.ways.refusal.body.utf8))
    }
    return .json(200, ["access_token": "t", "token_type": "Bearer", "expires_in": 60])
  }
}

/// The same, with the token that manages the client.
func pair(_ id: String, _ secret: String, token: String) throws -> Pair {
  let plain = try pair(id, secret)
  let managing = try pair(token, token)
  return try Pair(
    clientID: plain.clientID.clone(), clientSecret: plain.clientSecret.clone(),
    registrationToken: .init(managing.clientID.clone()))
}
