import JSON
import OAuth
package import Rotation
import Sodium
import Synchronization
package import Transport
package import Vault

/// The client secrets of an Okta application: at most two, accepted equally while they are active. A secret must be
/// deactivated before it can be deleted.
package struct OktaProvider: ProviderKind, TokenIssuer {
  package static let descriptor = ProviderDescriptor(
    id: "okta", summary: "Client secrets of an Okta application: the Application Client Auth Credentials API",
    settings: [
      .init("url", "the org, as in https://example.okta.com"),
      .init(
        "token-url",
        "the token endpoint, as in https://example.okta.com/oauth2/default/v1/token; not needed for an administrator",
        isOfUse: true),
      .init("app", "the application's identifier, as in 0oa1gjh63g214q0Hq0g4", isRequiredToRotate: true),
      ClientCredentials.authenticationSetting, ClientCredentials.scopeSetting,
    ],
    life: .init(
      [.overlap], secretsAtOnce: 2, changesClientID: false, oldPair: "until it is deactivated",
      lostAnswer:
        "the application's secrets are listed; one whose text the org does not show is deleted if the same run made it, and otherwise left to a person, because it may be somebody else's"
    ),
    administrator:
      "a credential whose client_secret is an API token of the org (SSWS) that may manage the application; its client_id is not used",
    documents: [
      .init(
        "Okta, Application Client Auth Credentials",
        "https://developer.okta.com/docs/api/openapi/okta-management/management/tag/ApplicationSSOCredentialOAuth2ClientAuth/"
      ),
      .init(
        "Okta, Applications: retrieve an application",
        "https://developer.okta.com/docs/api/openapi/okta-management/management/tag/Application/#tag/Application/operation/getApplication"
      ),
      .init(
        "Okta, Client secret rotation",
        "https://developer.okta.com/docs/guides/client-secret-rotation-key/main/"),
    ])

  private let org: Endpoint
  private let app: String
  /// The path of the application's secrets.
  private let path: String
  private let credentials: ClientCredentials
  private let admin: AdminAccess
  private let http: ManagementCall
  private let found = Found()

  /// What this run has seen.
  private final class Found: Sendable {
    /// Which secret was found to be a pair's because the pair was granted a token.
    let proved = Mutex<[(pair: Pair, id: String)]>([])
    /// Inactive secrets that may belong to a replaced pair or to somebody else.
    let doubtful = Mutex<Set<String>>([])
  }

  package var replacement: Replacement { .overlap }

  package static func mayAdministerItself(_ settings: [String: String]) -> Bool { false }

  package static var clientSettings: [String] { ["app"] }

  package static func check(_ settings: [String: String]) throws(ProviderError) {
    try descriptor.checkKeys(settings)
    _ = try Endpoint(serverSetting: "url", of: settings)
    _ = try pathSetting("app", of: settings)
    if settings["token-url"] != nil || settings["app"] != nil { _ = try ClientCredentials(settings) }
  }

  package init(
    settings: [String: String], admin: AdminAccess, transport: any HTTPTransport
  ) throws(ProviderError) {
    try Self.check(settings)
    org = try Endpoint(serverSetting: "url", of: settings)
    let app = try Self.descriptor.needed("app", pathSetting("app", of: settings))
    self.app = "/api/v1/apps/\(app)"
    path = "/api/v1/apps/\(app)/credentials/secrets"
    credentials = try ClientCredentials(settings)
    guard !admin.isSelf else {
      throw ProviderError(
        .configuration, "an Okta application cannot administer itself with its secret",
        hint: "add a credential whose client_secret is an API token, and name it with --admin", step: .admin)
    }
    try org.requireSameServer(as: Endpoint(serverSetting: "url", of: admin.settings), admin.name)
    self.admin = admin
    http = ManagementCall(transport: transport)
  }

  // MARK: - Observation

  private struct Listed {
    let id: String
    let text: SharedSecret?
    let isActive: Bool
  }

  package func observe(known: KnownPairs) async throws(ProviderError) -> Observation {
    try await requireOwnApplication(known)
    let answer = try await call(.get, path)
    guard case .array(let list) = try answer.json(mayHaveActed: false) else {
      throw ProviderError(.malformed, "the answer is not a list of secrets", status: answer.status)
    }
    var listed: [Listed] = []
    for entry in list {
      guard let id = answer.text(entry["id"]), Self.isPlain(id) else {
        throw ProviderError(.malformed, "a secret has no identifier", status: answer.status)
      }
      listed.append(
        Listed(
          id: id, text: answer.secret(entry["client_secret"]), isActive: answer.text(entry["status"]) != "INACTIVE"))
    }
    guard let any = known.newest(in: .active) ?? known.all.last else {
      throw ProviderError(.configuration, "there is no pair to ask the org with")
    }
    let clientID = try SharedSecret(copying: any.pair.clientID)
    let proved = try await proved(listed, known)
    let seen = try ManySecrets(listed, clientID, known, name: { ($0.id, nil) }) { one, left in
      proved?.pair === one.pair
        ? left.firstIndex { $0.id == proved?.id } : Self.index(of: one, in: left) ?? deactivated(one, in: left)
    }
    guard let primary = seen.primary else {
      throw ProviderError(
        .configuration,
        "the application has none of this credential's secrets, or it is not known which one is its own",
        hint: "look at its client secrets, then take one over with `relatch adopt NAME --stdin`", step: .primary)
    }
    let doubtful = doubtful(seen, known)
    found.doubtful.withLock { $0 = Set(doubtful.map(\.secret.id)) }
    let asleep = try doubtful.map { secret, pair throws(ProviderError) in
      ObservedPair(
        place: .replaced, handle: secret.id, clientID: clientID,
        clientSecret: try SharedSecret(copying: pair.clientSecret), expires: nil, sharesClientID: true)
    }
    let foreign = seen.left.filter { left in !doubtful.contains { $0.secret.id == left.id } }.map { secret in
      ObservedPair(
        place: .staged, handle: secret.id, clientID: clientID, clientSecret: secret.text, expires: nil,
        sharesClientID: true)
    }
    return Observation(consumer: org.host, primary: primary, others: seen.others + asleep + foreign)
  }

  /// Fails unless these pairs belong to the application. In another application, the secret left over would be somebody
  /// else's.
  private func requireOwnApplication(_ known: KnownPairs) async throws(ProviderError) {
    let answer = try await call(.get, app)
    let node = try answer.json(mayHaveActed: false)
    guard let id = answer.secret(node["credentials"]?["oauthClient"]?["client_id"]),
      known.all.allSatisfy({ id.secret.isEqual(to: $0.pair.clientID) })
    else {
      throw ProviderError(
        .configuration, "this pair does not belong to the application that setting app names",
        hint: "set app to the application's identifier in the address of its page: 0oa…", step: .app)
    }
  }

  /// For an org that does not show secrets, and a pair whose handle the vault does not have: the only secret left is
  /// that pair's, if the pair is granted a token now. An accepted secret is active there, and all other active ones
  /// belong to other pairs.
  private func proved(
    _ listed: [Listed], _ known: KnownPairs
  ) async throws(ProviderError) -> (pair: Pair, id: String)? {
    let named = known.all.compactMap { Self.index(of: $0, in: listed) }
    let left = listed.indices.filter { !named.contains($0) && listed[$0].isActive }
    guard left.count == 1, listed[left[0]].text == nil else { return nil }
    var found: Pair?
    for one in known.all where one.handle == nil && Self.index(of: one, in: listed) == nil {
      do { _ = try await grant(one.pair) } catch  where error.code == .refused { continue }
      guard found == nil else { return nil }
      found = one.pair
    }
    guard let pair = found else { return nil }
    let id = listed[left[0]].id
    self.found.proved.withLock { proved in
      if !proved.contains(where: { $0.id == id }) { proved.append((pair, id)) }
    }
    return (pair, id)
  }

  /// The index of `one` if this run saw it accepted and its deletion then only got as far as deactivating it.
  private func deactivated(_ one: KnownPairs.Known, in listed: [Listed]) -> Int? {
    let id = found.proved.withLock { proved in proved.last { $0.pair === one.pair }?.id }
    return listed.firstIndex { $0.id == id && !$0.isActive }
  }

  /// Inactive secrets that may belong to a replaced pair. An earlier run may have deactivated that pair's secret
  /// without deleting it, and if activated it would be accepted again. One refused secret cannot be told from another.
  private func doubtful(_ seen: ManySecrets<Listed>, _ known: KnownPairs) -> [(secret: Listed, pair: Pair)] {
    let lost = known.all.filter { one in
      one.stage == .previous && one.handle == nil
        && !seen.others.contains { $0.clientSecret?.secret.isEqual(to: one.pair.clientSecret) == true }
    }
    return Array(zip(seen.left.filter { !$0.isActive && $0.text == nil }, lost.map(\.pair)))
  }

  /// The index of `one` in `listed`, by its identifier or by its text.
  private static func index(of one: KnownPairs.Known, in listed: [Listed]) -> Int? {
    if let handle = one.handle { return listed.firstIndex { $0.id == handle } }
    return listed.firstIndex { $0.text.map { $0.secret.isEqual(to: one.pair.clientSecret) } == true }
  }

  // MARK: - Acts

  package func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    let answer: ManagementCall.Answer
    do { answer = try await call(.post, path, .json("{}")) } catch  where error.status == 400 {
      throw ProviderError(
        .occupied, "\(org.host) does not make another secret (HTTP 400)",
        hint: "delete one that nobody uses: an application has at most two, counting inactive ones", status: 400)
    }
    let node = try answer.json(mayHaveActed: true)
    guard let text = answer.secret(node["client_secret"]), let id = answer.text(node["id"]), Self.isPlain(id) else {
      throw ProviderError(
        .malformed, "the answer to making a secret shows no secret", mayHaveActed: true, status: answer.status)
    }
    return ObservedPair(
      place: .staged, handle: id, clientID: observation.primary.clientID, clientSecret: text, expires: nil,
      sharesClientID: true)
  }

  /// Does nothing: both secrets are accepted equally.
  package func promote(handle: String, _ observation: Observation) async throws(ProviderError) {}

  package func delete(handle: String, _ observation: Observation) async throws(ProviderError) {
    guard !found.doubtful.withLock({ $0.contains(handle) }) else {
      throw ProviderError(
        .configuration,
        "the application has an inactive secret that may be the replaced pair's, and the org does not show its text",
        hint: "look at the application's client secrets, and delete the inactive one if nobody else needs it")
    }
    let answer = try await call(.get, "\(path)/\(handle)")
    // It is already inactive if a run died between the two requests.
    if answer.text(try answer.json(mayHaveActed: false)["status"]) != "INACTIVE" {
      _ = try await call(.post, "\(path)/\(handle)/lifecycle/deactivate", .json("{}"))
    }
    _ = try await call(.delete, "\(path)/\(handle)")
  }

  package func grant(_ pair: Pair, overNewConnection: Bool) async throws(ProviderError) -> GrantEvidence {
    try await credentials.grant(pair, over: http.transport, overNewConnection: overNewConnection)
  }

  package static func token(
    for pair: Pair, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) -> IssuedToken {
    try await ClientCredentials(settings).issue(pair, over: transport)
  }

  package func administer(with pair: Pair) async {}

  private func call(
    _ method: HTTPRequest.Method, _ path: String, _ body: ManagementCall.Body = .none
  ) async throws(ProviderError) -> ManagementCall.Answer {
    let token: SharedSecret
    do {
      let pair = admin.pair
      token = try await admin.session.token { SharedSecret(try await pair().clientSecret.clone()) }
    } catch let error as ProviderError where error.local == nil {
      throw error
    } catch {
      throw ProviderError("the API token", of: admin.name, cannotBeUsed: error)
    }
    do { return try await http.send(method, org.path(path), token: token, prefix: "SSWS ", body: body) } catch {
      // The token may have been replaced by another.
      if error.status == 401 { await admin.session.end(token) }
      throw error
    }
  }

  private static func isPlain(_ id: String) -> Bool {
    (1...64).contains(id.utf8.count)
      && id.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) }
  }
}
