import JSON
import OAuth
import Rotation
import Sodium
import Transport
import Vault

/// The Connect REST calls for one External Client App, made with the administrator's token.
///
/// Paths are built from identifiers. The `url` members of answers are not trusted: Salesforce's page says that they
/// name the primary credentials, but working clients use them for the staged ones.
actor SalesforceClient {
  private let settings: SalesforceSettings
  private let adminDomain: Endpoint
  private let admin: AdminAccess
  private let transport: any HTTPTransport
  /// The vault's pairs of the credential that is rotated.
  private var known: [Pair] = []
  /// The pair to get the session's token with, after a credential that administers itself has changed to it.
  private var preferred: Pair?

  init(_ settings: SalesforceSettings, adminDomain: Endpoint, admin: AdminAccess, transport: any HTTPTransport) {
    self.settings = settings
    self.adminDomain = adminDomain
    self.admin = admin
    self.transport = transport
  }

  /// Sends one request below `/services/data/vNN.0/apps/oauth/credentials/`. Returns an answer in the 200s.
  func call(
    _ method: HTTPRequest.Method, _ path: String, json body: String? = nil
  ) async throws(ProviderError) -> ManagementCall.Answer {
    try await requireOneOrg()
    let token = try await adminToken()
    var answer = try await send(method, path, body, token)
    if answer.status == 401 {
      // A token that has ended is renewed. A refused request did not act, so it is safe to repeat.
      await admin.session.end(token)
      let renewed = try await adminToken()
      answer = try await send(method, path, body, renewed)
      if answer.status == 401 {
        // Another rotation of this session may have promoted a pair meanwhile, which ends the token at some orgs: so the
        // last one is shared with nobody.
        await admin.session.end(renewed)
        answer = try await send(method, path, body, grantToken { try await self.grantAdmin().accessToken })
      }
    }
    guard (200..<300).contains(answer.status) else { throw refusal(answer, to: method) }
    return answer
  }

  private func send(
    _ method: HTTPRequest.Method, _ path: String, _ body: String?, _ token: SharedSecret
  ) async throws(ProviderError) -> ManagementCall.Answer {
    let endpoint = try settings.domain.path("/services/data/v\(settings.apiVersion)/apps/oauth/credentials/\(path)")
    return try await ManagementCall(transport: transport).ask(
      method, endpoint, token: token, body: body.map { .json($0) } ?? .none)
  }

  /// Fails unless the app and its administrator have the same host. The administrator's token opens every app of its
  /// org, so it goes to no other host, however similar. For a host that does not even answer without the token, the
  /// error says that instead.
  private func requireOneOrg() async throws(ProviderError) {
    let domain = settings.domain
    guard !domain.isSameServer(as: adminDomain) else { return }
    // Everybody may see the list of versions.
    do { _ = try await transport.send(HTTPRequest(.get, domain.at("/services/data"))) } catch {
      throw ProviderError(error)
    }
    throw ProviderError(
      .configuration,
      "setting url: \(domain.host) is not the org of the administrator \(admin.name), which is \(adminDomain.host)",
      hint: "give both the same url: a credential and its administrator must be in one org", step: .admin)
  }

  /// The token of the session.
  private func adminToken() async throws(ProviderError) -> SharedSecret {
    try await grantToken { try await self.admin.session.token { try await self.grantAdmin().accessToken } }
  }

  /// What `grant` returns; its errors say whose token could not be had.
  private func grantToken(
    _ grant: () async throws -> SharedSecret
  ) async throws(ProviderError) -> SharedSecret {
    do { return try await grant() } catch let error as OAuthError {
      let sorted = ProviderError(error, host: adminDomain.host)
      throw ProviderError(
        sorted.code == .refused ? .notPermitted : sorted.code, "as \(admin.name): \(sorted)",
        hint: sorted.hint
          ?? (sorted.code == .refused ? "check the active pair of \(admin.name): the org no longer accepts it" : nil),
        status: sorted.status, retryAfter: sorted.retryAfter, step: sorted.step(of: admin))
    } catch let error as ProviderError {
      throw error
    } catch {
      throw ProviderError("the pair", of: admin.name, cannotBeUsed: error)
    }
  }

  /// Notes the pairs of the credential that is rotated, in case it administers itself. While its pair is being
  /// replaced, the org may not accept the pair that is active in the vault, and then only the others can be used to
  /// observe it.
  func consider(_ known: [Pair]) { self.known = known }

  /// From now on, gets the session's token with `pair`.
  func prefer(_ pair: Pair) async {
    preferred = pair
    await admin.session.end()
  }

  private func grantAdmin() async throws -> TokenAnswer {
    let active = try await admin.pair()
    let isOwn = known.contains { $0.clientID.isEqual(to: active.clientID) }
    var pair = preferred ?? active
    var others = isOwn ? known.filter { !$0.clientID.isEqual(to: pair.clientID) } : []
    while true {
      let request = try TokenRequest(clientID: pair.clientID, clientSecret: pair.clientSecret, by: .body)
      do {
        return try await TokenEndpoint(adminDomain.at(SalesforceProvider.tokenPath), over: transport).grant(request)
      } catch let error as OAuthError {
        guard ProviderError(error, host: adminDomain.host).code == .refused, let next = others.popLast() else {
          throw error
        }
        pair = next
      }
    }
  }

  // MARK: - Refusals

  /// The org's code for an error, in upper case, and its message, in lower case; empty if the answer does not have its
  /// form.
  static func words(of body: SharedSecret) -> (code: String, message: String) {
    body.secret.withBytes { bytes -> (String, String) in
      guard let root = try? JSONNode(reading: bytes) else { return ("", "") }
      let object = if case .array(let elements) = root { elements.first ?? .null } else { root }
      let code = (try? object["errorCode"]?.text(in: bytes)) ?? nil
      let message = (try? object["message"]?.text(in: bytes)) ?? nil
      return (code?.uppercased() ?? "", message?.lowercased() ?? "")
    }
  }

  /// Classifies an answer outside the 200s: `[{"message":"…","errorCode":"…"}]`, or anything that something between
  /// here and the org may answer.
  private func refusal(_ answer: ManagementCall.Answer, to method: HTTPRequest.Method) -> ProviderError {
    let (errorCode, message) = Self.words(of: answer.body)
    let host = settings.domain.host
    let status = answer.status
    let retryAfter = answer.retryAfter
    let permission =
      "give the Run As user of \(admin.name) External Client App Developer and View Client Secret, and"
      + " the app the scope api"
    let restSwitch =
      "Setup, External Client App Settings: allow access to External Client App consumer secrets via REST API"
    switch status {
    case 400 where method == .post, 409 where method == .post:
      return ProviderError(
        .occupied, "\(host) does not stage another pair (HTTP \(status))",
        hint: "see what holds the only slot: a staged or a replaced pair may", status: status, step: .slot)
    case 401:
      return ProviderError(
        .notPermitted, "\(host) does not accept the token of \(admin.name)", status: status, step: .permissions)
    case 403 where errorCode == "REQUEST_LIMIT_EXCEEDED", 429:
      return ProviderError(
        .limited, "\(host): too many requests", status: status, retryAfter: retryAfter, step: .limits)
    case 403 where message.contains("not enabled for this user"):
      return ProviderError(
        .notPermitted, "\(host) does not let \(admin.name) do this", hint: permission, status: status,
        step: .permissions)
    case 403
    where errorCode == "FUNCTIONALITY_NOT_ENABLED" || message.contains("not currently enabled")
      || message.contains("feature is not enabled"):
      return ProviderError(
        .configuration, "\(host) does not show consumer secrets over REST", hint: restSwitch, status: status,
        step: .restSwitch)
    case 403 where errorCode == "API_DISABLED_FOR_ORG":
      return ProviderError(.configuration, "\(host) has its API switched off", status: status, step: .org)
    case 403:
      return ProviderError(
        .notPermitted, "\(host) does not let \(admin.name) do this", hint: permission, status: status,
        step: .permissions)
    case 404 where errorCode.isEmpty, 410 where errorCode.isEmpty:
      // The org itself did not say this, so it must not count as "there is nothing".
      return ProviderError(
        .malformed, "\(host) answered with HTTP \(status) and without an error from the org",
        hint: "something between here and the org may be answering instead", mayHaveActed: method != .get,
        status: status, step: .host)
    case 404, 410:
      return ProviderError(
        .notFound, "\(host) has no such app, consumer or staged pair",
        hint: "check app and consumer, and that the org has API version \(settings.apiVersion)", status: status,
        step: .app)
    case 500...:
      // A gateway may answer for a server that has acted.
      return ProviderError(
        .unreachable, "\(host) is in trouble or under maintenance (HTTP \(status))",
        hint: "see status.salesforce.com for incidents and maintenance", mayHaveActed: method != .get, status: status,
        retryAfter: retryAfter, step: .host)
    default:
      return ProviderError(
        .malformed, "\(host) answered with HTTP \(status)", mayHaveActed: method != .get, status: status, step: .host)
    }
  }
}
