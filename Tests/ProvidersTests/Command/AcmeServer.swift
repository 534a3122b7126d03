import Delivery
import Foundation
import Glibc
import Loopback
import Providers
import Rotation
import Sodium
import Synchronization
import Testing
import Vault

/// A made-up system. It has its own interface, which docs/providers/command-example.py knows, and below /contract/ the
/// contract itself, as if program and system were one.
final class AcmeServer: ProviderHouse {
  struct Key: Sendable {
    let id: String
    let clientID: String
    let secret: String
    var label: String?
    var place: String?
  }

  struct State: Sendable {
    var keys: [Key] = []
    var made = 0
    /// Whether a secret is shown to a reader, or in the answer to a second request with the same label.
    var showsSecrets = false

    mutating func make(_ label: String?, _ mode: Replacement) -> Key {
      made += 1
      let clientID = mode == .promotion ? "client-\(made)" : "client"
      let secret = "s\(made) \"+\\/é\(UUID().uuidString)"
      let place: String? = mode == .overlap ? nil : mode == .cutOver || keys.isEmpty ? "primary" : "staged"
      let key = Key(id: "k\(made)", clientID: clientID, secret: secret, label: label, place: place)
      if mode == .cutOver { keys = [] }
      keys.append(key)
      return key
    }
  }

  /// How the program is run.
  enum Way: Sendable {
    /// The example, as a process.
    case example
    /// Within the test: what it writes to standard input is the body of a request.
    case within
  }

  let server: LoopbackServer
  private let mode: Replacement
  private let way: Way
  private let provesByToken: Bool
  private let box: Box

  private final class Box: Sendable {
    let state = Mutex(State())
  }

  init(_ mode: Replacement, _ way: Way, provesByToken: Bool = false) throws {
    (self.mode, self.way, self.provesByToken) = (mode, way, provesByToken)
    let box = Box()
    self.box = box
    server = try LoopbackServer { request in
      box.state.withLock { state in
        request.path.hasPrefix("/contract/")
          ? Self.contract(request, &state, mode) : Self.interface(request, &state, mode)
      }
    }
  }

  var keys: [Key] { box.state.withLock { $0.keys } }
  func change(_ body: @Sendable (inout State) -> Void) { box.state.withLock { body(&$0) } }

  func tenancy() async throws -> Tenancy {
    let mode = mode
    let key = box.state.withLock { state in
      state.keys = []
      return state.make(nil, mode)
    }
    let example = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../../docs/providers/command-example.py").standardized.path
    var settings = [
      "program": example, "arguments": "[\"\(server.url)\",\"\(mode.rawValue)\"]", "replacement": mode.rawValue,
    ]
    if provesByToken { settings["token-url"] = server.url + "/token" }
    return Tenancy(
      provider: "command", settings: settings, pair: try pair(key.clientID, key.secret),
      admin: .init(settings: settings, pair: try pair("root", "hunter2")), programs: programs)
  }

  private var programs: any ProgramHost {
    switch way {
    case .example:
      HookRunner(environment: ["PATH": "/usr/bin:/bin"], mask: 0o077, sleep: { try await Task.sleep(for: $0) })
    case .within: ProgramWithin(url: server.url)
    }
  }

  func accepts(_ pair: Pair) async throws -> Bool {
    let (id, secret) = (secretText(pair.clientID), secretText(pair.clientSecret))
    return box.state.withLock { $0.keys.contains { $0.clientID == id && $0.secret == secret } }
  }

  // MARK: - Its own interface

  private static func interface(
    _ request: LoopbackServer.Request, _ state: inout State, _ mode: Replacement
  ) -> LoopbackServer.Answer {
    let basic = request.headers["authorization"]?.dropFirst("Basic ".count)
    let text = basic.flatMap { Data(base64Encoded: String($0)) }.map { String(decoding: $0, as: UTF8.self) } ?? ""
    if request.path == "/token" {
      let isKnown = state.keys.contains { key in
        [text, text.replacing("+", with: " ").removingPercentEncoding].contains("\(key.clientID):\(key.secret)")
      }
      return isKnown
        ? .json(200, ["access_token": "t", "token_type": "Bearer"]) : .json(401, ["error": "invalid_client"])
    }
    guard text == "root:hunter2" else { return .empty(401) }
    func shown(_ key: Key, isNew: Bool = false) -> [String: Any] {
      var members: [String: Any] = [
        "id": key.id, "client_id": key.clientID, "sha256": hash(key.secret), "label": key.label ?? "",
        "place": key.place ?? "",
      ]
      if isNew || state.showsSecrets || mode == .cutOver { members["secret"] = key.secret }
      return members
    }
    let parts = request.path.split(separator: "/").map(String.init)
    switch (request.method, parts.count) {
    case ("GET", 1): return .json(200, state.keys.map { shown($0) })
    case ("POST", 1):
      let label = request.json["label"] as? String
      if let old = state.keys.first(where: { $0.label != nil && $0.label == label }) {
        return .json(200, shown(old, isNew: true))
      }
      return .json(201, shown(state.make(label, mode), isNew: true))
    case ("POST", 3): return promote(parts[1], &state) ? .json(200, [String: String]()) : .empty(404)
    case ("DELETE", 2): return delete(parts[1], &state) ? .empty(204) : .empty(404)
    default: return .empty(405)
    }
  }

  private static func promote(_ id: String, _ state: inout State) -> Bool {
    guard let index = state.keys.firstIndex(where: { $0.id == id && $0.place == "staged" }) else { return false }
    for other in state.keys.indices where state.keys[other].place == "primary" { state.keys[other].place = "replaced" }
    state.keys[index].place = "primary"
    return true
  }

  private static func delete(_ id: String, _ state: inout State) -> Bool {
    guard let index = state.keys.firstIndex(where: { $0.id == id }) else { return false }
    state.keys.remove(at: index)
    return true
  }

  private static func hash(_ text: String) -> String {
    SHA256.hash(Array(text.utf8)).bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  // MARK: - The contract

  private static func contract(
    _ request: LoopbackServer.Request, _ state: inout State, _ mode: Replacement
  ) -> LoopbackServer.Answer {
    let asked = request.json
    let pair = asked["pair"] as? [String: Any]
    func shown(_ key: Key, isNew: Bool = false) -> [String: Any] {
      var members: [String: Any] = ["client_id": key.clientID, "handle": key.id]
      if isNew || state.showsSecrets || mode == .cutOver { members["client_secret"] = key.secret }
      members["key"] = key.label
      members["place"] = key.place
      let known = asked["known"] as? [[String: Any]] ?? []
      members["known"] = known.firstIndex {
        $0["client_id"] as? String == key.clientID && $0["client_secret"] as? String == key.secret
      }
      return members
    }
    switch asked["operation"] as? String {
    case "observe": return .json(200, ["replacement": mode.rawValue, "pairs": state.keys.map { shown($0) }])
    case "stage":
      let label = asked["key"] as? String
      if let old = state.keys.first(where: { $0.label == label }) {
        return .json(200, ["pair": shown(old, isNew: true)])
      }
      return .json(200, ["pair": shown(state.make(label, mode), isNew: true)])
    case "promote", "delete":
      let id = pair?["handle"] as? String ?? ""
      let isThere = asked["operation"] as? String == "delete" ? delete(id, &state) : promote(id, &state)
      return .json(200, isThere ? [String: String]() : ["error": "not-found"])
    case "grant":
      let isKnown = state.keys.contains {
        $0.clientID == pair?["client_id"] as? String && $0.secret == pair?["client_secret"] as? String
      }
      var answer: [String: Any] = ["status": isKnown ? 200 : 401]
      if !isKnown { answer["error"] = "refused" }
      return .json(200, answer)
    default: return .empty(400)
    }
  }
}

extension ProgramEnding {
  /// A program that wrote `output`.
  init(_ cause: Cause, _ output: String = "", said: String = "") throws(ProviderError) {
    let bytes = Array(output.utf8)
    do { self.init(cause, output: SharedSecret(try SecretBytes(copying: bytes.span.bytes)), said: said) } catch {
      throw ProviderError(.malformed, "no guarded memory")
    }
  }
}

/// Runs no program: its input is sent to the server, and the server's answer is its output.
private struct ProgramWithin: ProgramHost {
  let url: String

  func run(_ call: ProgramCall) async throws(ProviderError) -> ProgramEnding {
    let input = call.input.secret.withUnsafeBytes { Data($0) }
    let object = (try? JSONSerialization.jsonObject(with: input)) as? [String: Any]
    let operation = object?["operation"] as? String ?? ""
    // A server that loses requests recognizes by these which of them change something.
    let (method, path) =
      switch operation {
      case "observe": ("POST", "/contract/observe/lookup")
      case "grant": ("POST", "/contract/grant/token")
      default: ("POST", "/contract/\(operation)")
      }
    let isChange = ["stage", "promote", "delete"].contains(operation)
    guard let answer = try? await LoopbackClient(url).send(method, path, body: input) else {
      return try ProgramEnding(.exit(isChange ? 1 : 69))
    }
    return answer.status == 200
      ? try ProgramEnding(.exit(0), String(decoding: answer.body, as: UTF8.self)) : try ProgramEnding(.exit(69))
  }
}
