import Audit
import JSON
import OAuth
package import Rotation
import Sodium
import Synchronization
package import Transport
package import Vault

/// Secret-ids of an AppRole. Any number are accepted equally, each until it is destroyed. The pair is `role_id` and
/// `secret_id`, and a login proves it.
///
/// A secret-id is shown only once. It is recognised by looking up its accessor with the secret-id itself; one that the
/// vault does not know, by its mark.
package struct OpenBaoAppRoleProvider: ProviderKind, AdministratorGranter {
  package static let descriptor = OpenBaoSettings.descriptor

  /// How many secret-ids that the vault does not know one observation looks up.
  private static let maximumUnknownSecretIDs = 200
  /// The number of uses with which a new secret-id outlasts the run that ends a leaked one.
  private static let minimumUses = 20

  private let settings: OpenBaoSettings
  private let role: String
  private let admin: AdminAccess
  private let adminSettings: OpenBaoSettings
  private let http: ManagementCall
  private let urgency = Urgency()

  /// How few uses the purpose of the run's last observation allows.
  private final class Urgency: Sendable {
    let minimumUses = Mutex<Int?>(nil)
  }

  package var replacement: Replacement { .overlap }

  package static var clientSettings: [String] { ["role", "mount", "namespace"] }
  package static var clientDefaults: [String: String] { ["mount": "approle", "namespace": ""] }

  package static func check(_ settings: [String: String]) throws(ProviderError) { _ = try OpenBaoSettings(settings) }

  package init(
    settings: [String: String], admin: AdminAccess, transport: any HTTPTransport
  ) throws(ProviderError) {
    self.settings = try OpenBaoSettings(settings)
    role = try Self.descriptor.needed("role", self.settings.role)
    self.admin = admin
    adminSettings = try OpenBaoSettings(admin.settings)
    try self.settings.server.requireSameServer(as: adminSettings.server, admin.name)
    http = ManagementCall(transport: transport)
  }

  // MARK: - Observation

  package func observe(known: KnownPairs) async throws(ProviderError) -> Observation {
    var primary: ObservedPair?
    var others: [ObservedPair] = []
    var accessors: Set<String> = []
    // A rotation can be done another day. Ending a leak cannot wait, and containment leaves no pair in use anyway.
    urgency.minimumUses.withLock { $0 = known.isContaining ? 1 : known.hasLeak ? Self.minimumUses : nil }
    for one in known.all {
      guard let found = try await lookUp(one.pair) else { continue }
      accessors.insert(found.accessor)
      let isActive = one.stage == .active
      let seen = ObservedPair(
        place: isActive ? .primary : one.stage == .staged ? .staged : .replaced, handle: found.accessor,
        clientID: try SharedSecret(copying: one.pair.clientID),
        clientSecret: try SharedSecret(copying: one.pair.clientSecret),
        expires: found.expires, sharesClientID: true)
      if isActive { primary = seen } else { others.append(seen) }
    }
    // If the active one is gone, the staged one counts as primary.
    if primary == nil, let index = others.lastIndex(where: { $0.place == .staged }) {
      primary = others.remove(at: index)
    }
    guard let primary else {
      throw ProviderError(
        .configuration, "role \(role) has none of this credential's secret-ids",
        hint: "make one there, then take it over with `relatch adopt NAME --stdin`: the old one was destroyed"
          + " or has ended",
        step: .primary)
    }
    for accessor in try await foreign(beside: accessors, known) {
      guard try await isMarked(accessor, known) else { continue }
      others.append(
        ObservedPair(
          place: .staged, handle: accessor, clientID: primary.clientID, clientSecret: nil, expires: nil,
          sharesClientID: true, isMarked: true))
    }
    return Observation(consumer: known.mark, primary: primary, others: others)
  }

  /// The accessors, not the vault's, that are to be looked up. Anyone who may make secret-ids could make too many, and
  /// so could keep the known ones from being ended. So a list that is too long, or larger than one answer holds, stops
  /// only a run that looks for a secret-id that it requested. After a leak it stops no run, and then even a list that
  /// is refused stops none. An outage is waited out, because after a restore it would hide what is in use.
  private func foreign(beside known: Set<String>, _ pairs: KnownPairs) async throws(ProviderError) -> [String] {
    var listed: [String]?
    do { listed = try await list() } catch
      where pairs.hasLeak && !error.isTransient || error.code == .malformed && error.status == nil
    {}
    let foreign = listed?.filter { !known.contains($0) }
    if let foreign, foreign.count <= Self.maximumUnknownSecretIDs { return foreign }
    guard !pairs.isStaging || pairs.hasLeak else {
      let number = foreign.map { "\($0.count) other secret-ids" } ?? "more other secret-ids than one answer holds"
      throw ProviderError(
        .configuration,
        "role \(role) has \(number), too many to look at each: one that this credential asked for may be among them",
        hint: "destroy those that nobody uses, or give this credential a role of its own")
    }
    // Ending a leaked secret-id waits for none of them.
    return pairs.hasLeak ? [] : Array(foreign?.prefix(Self.maximumUnknownSecretIDs) ?? [])
  }

  /// Whether the secret-id of `accessor`, which is not the vault's, was made for this credential.
  private func isMarked(_ accessor: String, _ known: KnownPairs) async throws(ProviderError) -> Bool {
    do { return try await mark(of: accessor) == known.mark } catch
      where known.hasLeak && !error.isTransient
    { return false }
  }

  private static let numberHint = "set secret_id_num_uses of the role to 0"

  /// One of the vault's secret-ids, as the server shows it.
  private struct Found {
    let accessor: String
    let expires: Timestamp?
  }

  /// The secret-id of `pair`; nil if the server does not have it. API: `secret-id/lookup`.
  private func lookUp(_ pair: Pair) async throws(ProviderError) -> Found? {
    let body = try ManagementCall.Body.secrets([("secret_id", SharedSecret(copying: pair.clientSecret))])
    let answer = try await call(.post, "role/\(role)/secret-id/lookup", body, isMutating: false)
    // The server answers with no content if there is none.
    if answer.status == 204 { return nil }
    let data = try answer.json(mayHaveActed: false)["data"]
    guard let accessor = answer.text(data?["secret_id_accessor"]), Self.isPlain(accessor) else {
      throw ProviderError(.malformed, "the answer shows no accessor", status: answer.status)
    }
    let expires = answer.text(data?["expiration_time"]).flatMap { $0.hasPrefix("0001-") ? nil : Timestamp(rfc3339: $0) }
    return Found(accessor: accessor, expires: expires)
  }

  private func list() async throws(ProviderError) -> [String] {
    let answer: ManagementCall.Answer
    do { answer = try await call(.get, "role/\(role)/secret-id?list=true") } catch  where error.code == .notFound {
      return []
    }
    guard case .array(let keys)? = try answer.json(mayHaveActed: false)["data"]?["keys"] else {
      throw ProviderError(.malformed, "the answer is not a list of secret-ids", status: answer.status)
    }
    return keys.compactMap { answer.text($0) }.filter { Self.isPlain($0) }
  }

  /// The mark that a secret-id was made with; nil if it has none, or is gone by now.
  private func mark(of accessor: String) async throws(ProviderError) -> String? {
    let answer: ManagementCall.Answer
    do {
      answer = try await call(
        .post, "role/\(role)/secret-id-accessor/lookup", .json(#"{"secret_id_accessor":"\#(accessor)"}"#),
        isMutating: false)
    } catch  where error.code == .notFound { return nil }
    guard answer.status != 204 else { return nil }
    return answer.text(try answer.json(mayHaveActed: false)["data"]?["metadata"]?["relatch"])
  }

  // MARK: - Acts

  package func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    let metadata = JSONValue.string(JSONValue.object(["relatch": .string(observation.consumer)]).canonicalText)
    let answer = try await call(
      .post, "role/\(role)/secret-id", .json(JSONValue.object(["metadata": metadata]).canonicalText))
    let data = try answer.json(mayHaveActed: true)["data"]
    guard let secret = answer.secret(data?["secret_id"]), let accessor = answer.text(data?["secret_id_accessor"]),
      Self.isPlain(accessor)
    else {
      throw ProviderError(
        .malformed, "the answer to making a secret-id shows no secret-id", mayHaveActed: true, status: answer.status)
    }
    // Each step of a rotation logs in with the new secret-id. The old one is only looked up, so it may have few uses
    // left.
    let uses = answer.integer(data?["secret_id_num_uses"]) ?? 0
    let lasts = uses == 0 || urgency.minimumUses.withLock { $0.map { uses >= $0 } ?? false }
    guard lasts else {
      let isDestroyed = (try? await destroy(accessor)) != nil
      throw ProviderError(
        .configuration,
        "role \(role) makes secret-ids that end after some uses (secret_id_num_uses), which a rotation would use up: the new"
          + " one \(isDestroyed ? "was destroyed" : "stays there unused")", hint: Self.numberHint, step: .app)
    }
    return ObservedPair(
      place: .staged, handle: accessor, clientID: observation.primary.clientID, clientSecret: secret, expires: nil,
      sharesClientID: true, isMarked: true)
  }

  /// Does nothing: all secret-ids are accepted equally.
  package func promote(handle: String, _ observation: Observation) async throws(ProviderError) {}

  package func delete(handle: String, _ observation: Observation) async throws(ProviderError) {
    try await destroy(handle)
  }

  private func destroy(_ accessor: String) async throws(ProviderError) {
    _ = try await call(
      .post, "role/\(role)/secret-id-accessor/destroy", .json(#"{"secret_id_accessor":"\#(accessor)"}"#))
  }

  package func grant(administrator pair: Pair) async throws(ProviderError) {
    _ = try await grant(pair, at: adminSettings)
  }

  package func grant(_ pair: Pair, overNewConnection: Bool) async throws(ProviderError) -> GrantEvidence {
    try await grant(pair, at: settings, overNewConnection: overNewConnection)
  }

  private func grant(
    _ pair: Pair, at settings: OpenBaoSettings, overNewConnection: Bool = false
  ) async throws(ProviderError) -> GrantEvidence {
    let answer = try await logIn(pair, at: settings, overNewConnection: overNewConnection)
    guard answer.secret(try answer.json(mayHaveActed: false)["auth"]?["client_token"]) != nil else {
      throw ProviderError(.malformed, "the answer to a login shows no token", status: answer.status)
    }
    return GrantEvidence(status: answer.status, signature: .absent)
  }

  package func administer(with pair: Pair) async { await admin.session.end() }

  // MARK: - Requests

  /// The answer to a successful login. For a wrong pair the server answers 400 and "invalid role or secret ID".
  private func logIn(
    _ pair: Pair, at settings: OpenBaoSettings, overNewConnection: Bool = false
  ) async throws(ProviderError) -> ManagementCall.Answer {
    let body = try ManagementCall.Body.secrets([
      ("role_id", SharedSecret(copying: pair.clientID)), ("secret_id", SharedSecret(copying: pair.clientSecret)),
    ])
    let endpoint = try settings.endpoint("login")
    let answer = try await http.ask(
      .post, endpoint, headers: settings.headers, body: body, isMutating: false, overNewConnection: overNewConnection)
    switch answer.status {
    case 200..<300: return answer
    case 400:
      let isRefusal = answer.errors.contains { error in
        error.contains("invalid role or secret id") || error.contains("invalid secret id")
          || error.contains("invalid role id")
      }
      throw ProviderError(
        isRefusal ? .refused : .configuration,
        isRefusal
          ? "login at \(endpoint.host): the pair is refused (HTTP 400)"
          : "login at \(endpoint.host) does not accept the request (HTTP 400)", status: 400,
        step: isRefusal ? .pair : .settings)
    case 403:
      throw ProviderError(
        .principal, "login at \(endpoint.host) is not allowed from here (HTTP 403)",
        hint: "check the role's bound addresses", status: 403, step: .login)
    case 404:
      throw ProviderError(
        .configuration, "\(endpoint.host) has no AppRole method at \(settings.mount)", hint: "check url and mount",
        status: 404, step: .settings)
    case let status:
      throw ProviderError(status: status, host: endpoint.host, isMutating: false, retryAfter: answer.retryAfter)
    }
  }

  /// Sends a request with the administrator's token. A refused request did not act, so it is repeated once with a fresh
  /// token.
  private func call(
    _ method: HTTPRequest.Method, _ path: String, _ body: ManagementCall.Body = .none, isMutating: Bool? = nil
  ) async throws(ProviderError) -> ManagementCall.Answer {
    let endpoint = try settings.endpoint(path)
    for isLast in [false, true] {
      let token = try await adminToken()
      let answer = try await http.ask(
        method, endpoint, token: token, header: "X-Vault-Token", prefix: "", headers: settings.headers, body: body,
        isMutating: isMutating)
      if (200..<300).contains(answer.status) { return answer }
      if answer.status == 403, !isLast {
        await admin.session.end(token)
        continue
      }
      // For an accessor that is gone the server answers as for an error of its own.
      if answer.errors.contains(where: { $0.contains("failed to find accessor entry") }) {
        throw ProviderError(.notFound, "\(endpoint.host) has no such secret-id", status: answer.status)
      }
      throw ProviderError(
        status: answer.status, host: endpoint.host, isMutating: isMutating ?? (method != .get),
        retryAfter: answer.retryAfter)
    }
    throw ProviderError(.notPermitted, "\(endpoint.host) does not let \(admin.name) do this")
  }

  private func adminToken() async throws(ProviderError) -> SharedSecret {
    do {
      let (admin, settings) = (admin, adminSettings)
      return try await admin.session.token {
        let answer = try await logIn(admin.pair(), at: settings)
        guard let token = answer.secret(try answer.json(mayHaveActed: false)["auth"]?["client_token"]) else {
          throw ProviderError(.malformed, "the answer to a login shows no token", status: answer.status)
        }
        return token
      }
    } catch let error as ProviderError where error.local == nil {
      throw ProviderError(
        error.code == .refused ? .notPermitted : error.code, "as \(admin.name): \(error)", hint: error.hint,
        status: error.status, retryAfter: error.retryAfter, step: error.step(of: admin))
    } catch {
      throw ProviderError("the pair", of: admin.name, cannotBeUsed: error)
    }
  }

  private static func isPlain(_ accessor: String) -> Bool {
    (1...128).contains(accessor.utf8.count)
      && accessor.utf8.allSatisfy { byte in
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || ".-_".utf8.contains(byte)
      }
  }
}

extension ManagementCall.Answer {
  /// The texts of an OpenBao error, in lower case: for comparison, never for printing.
  fileprivate var errors: [String] {
    guard case .array(let errors)? = try? json(mayHaveActed: false)["errors"] else { return [] }
    return errors.compactMap { text($0)?.lowercased() }
  }
}
