import Audit
import JSON
import OAuth
package import Rotation
import Sodium
package import Transport
package import Vault

/// Passwords of an application registration in Microsoft Entra ID. Any number are accepted equally, each until it is
/// removed or expires.
///
/// A password is shown only once. It is recognised by its key identifier, which the vault keeps. One added by hand is
/// recognised by its first three characters if no other begins with them, and one that the vault does not know by its
/// display name, which is the credential's mark.
package struct EntraProvider: AdministeredProvider, TokenIssuer {
  package static let descriptor = ProviderDescriptor(
    id: "entra",
    summary: "Client secrets of application registrations in Microsoft Entra ID: passwords, by Microsoft Graph",
    settings: [
      .init("tenant", "the directory's identifier or domain"),
      .init("object", "the application's object identifier: not its client_id", isRequiredToRotate: true),
      .init(
        "lifetime", "how long a new secret is to live, in whole days as in 180d; two years if absent", isOfUse: true),
      .init(
        "scope",
        "the scope to request; that of graph-url, as in https://graph.microsoft.com/.default, if absent",
        isOfUse: true),
      .init(
        "login-url", "where tokens are granted; https://login.microsoftonline.com if absent, others in national clouds",
        isOfUse: true),
      .init("graph-url", "Microsoft Graph; https://graph.microsoft.com if absent, others in national clouds"),
    ],
    life: .init(
      [.overlap], secretsAtOnce: nil, changesClientID: false,
      oldPair: "until it is removed or ends by its own date, two years after it was made or as lifetime says",
      lostAnswer:
        "a password has the credential's mark as its display name: one whose answer was lost is found by that mark and removed, and another is made"
    ),
    administrator:
      "an application that owns this one and has the permission Application.ReadWrite.OwnedBy, or that has Application.ReadWrite.All; or itself",
    documents: [
      .init(
        "Microsoft Graph, application: addPassword",
        "https://learn.microsoft.com/en-us/graph/api/application-addpassword"),
      .init(
        "Microsoft Graph, application: removePassword",
        "https://learn.microsoft.com/en-us/graph/api/application-removepassword"),
      .init(
        "Microsoft Graph, passwordCredential",
        "https://learn.microsoft.com/en-us/graph/api/resources/passwordcredential"),
      .init(
        "Microsoft Graph, application authentication methods policies",
        "https://learn.microsoft.com/en-us/graph/api/resources/applicationauthenticationmethodpolicy"),
      .init(
        "Microsoft identity platform, supported account types: two secrets at most where personal accounts sign in",
        "https://learn.microsoft.com/en-us/entra/identity-platform/supported-accounts-validation"),
      .init(
        "Microsoft identity platform, client credentials flow",
        "https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow"),
    ])

  /// The scope of a token for Graph. Each cloud has its own (https://learn.microsoft.com/en-us/graph/deployments).
  private static func graphScope(_ settings: [String: String]) throws(ProviderError) -> String {
    var url = try graph(settings).url
    if url.hasSuffix("/") { url.removeLast() }
    return "\(url)/.default"
  }

  private let graph: Endpoint
  private let object: String
  private let lifetime: Duration?
  let credentials: ClientCredentials
  let call: AdministeredCall

  package var replacement: Replacement { .overlap }

  package static var clientSettings: [String] { ["object"] }

  /// A directory has several names: only the server tells two apart.
  package static func pairPlace(_ settings: [String: String]) -> PairPlace {
    pairPlace(settings, servers: [settings["login-url"] ?? usualServer], family: descriptor.id)
  }

  private static let usualServer = "https://login.microsoftonline.com"

  package static func check(_ settings: [String: String]) throws(ProviderError) {
    try descriptor.checkKeys(settings)
    _ = try credentials(settings)
    _ = try pathSetting("object", of: settings)
    _ = try lifetime(settings)
  }

  /// How long a new password is to live; nil for as long as Entra makes it.
  private static func lifetime(_ settings: [String: String]) throws(ProviderError) -> Duration? {
    guard let text = settings["lifetime"] else { return nil }
    guard let lifetime = Policy.duration(text), lifetime > .zero,
      lifetime.components.seconds.isMultiple(of: 86_400)
    else {
      throw ProviderError(
        .configuration, "setting lifetime: \(Name.printable(text)): expected whole days, 1d to 3650d",
        hint: "write, for example, 180d")
    }
    return lifetime
  }

  private static func graph(_ settings: [String: String]) throws(ProviderError) -> Endpoint {
    try Endpoint(serverSetting: "graph-url", of: ["graph-url": settings["graph-url"] ?? "https://graph.microsoft.com"])
  }

  private static func credentials(
    _ settings: [String: String], scope: String? = nil
  ) throws(ProviderError) -> ClientCredentials {
    let login = try Endpoint(
      serverSetting: "login-url", of: ["login-url": settings["login-url"] ?? usualServer])
    guard let tenant = try pathSetting("tenant", of: settings) else {
      throw ProviderError(.configuration, "setting tenant is missing", hint: "give it: tenant=…")
    }
    let asked = if let scope { scope } else { try graphScope(settings) }
    var credentials = ClientCredentials(
      endpoint: try login.path("/\(tenant)/oauth2/v2.0/token"), authentication: .body, scope: asked)
    credentials.meaning = { unknown($0, tenant, at: login.host) }
    return credentials
  }

  /// The error that there is no such directory or no such client in it; nil if `error` says neither. There is no switch
  /// for this grant that could be off, as the specification would have it.
  private static func unknown(_ error: OAuthError, _ tenant: String, at host: String) -> ProviderError? {
    let found: String
    switch error.error {
    case "unauthorized_client": found = "the directory \(tenant) does not know this client, or has disabled it"
    case "invalid_request" where error.errorDescription.hasPrefix("aadsts90002"):
      found = "there is no directory \(tenant)"
    default: return nil
    }
    guard error.status == 400 else { return nil }
    return ProviderError(
      .configuration, "token endpoint of \(host): \(found) (HTTP 400)",
      hint: "compare tenant and the client_id with the page of the application's registration: Directory (tenant) ID,"
        + " Application (client) ID",
      status: 400, step: .settings)
  }

  package init(
    settings: [String: String], admin: AdminAccess, transport: any HTTPTransport
  ) throws(ProviderError) {
    try Self.check(settings)
    object = try Self.descriptor.needed("object", pathSetting("object", of: settings))
    lifetime = try Self.lifetime(settings)
    graph = try Self.graph(settings)
    credentials = try Self.credentials(settings, scope: settings["scope"])
    try graph.requireSameServer(as: Self.graph(admin.settings), admin.name)
    call = AdministeredCall(
      admin: admin, credentials: try Self.credentials(admin.settings),
      http: ManagementCall(transport: transport))
  }

  // MARK: - Observation

  private struct Password {
    let keyID: String
    let name: String?
    let hint: SharedSecret?
    let expires: Timestamp?
  }

  /// Whether `keyID` may become a handle. Key identifiers are UUIDs.
  private static func isPlain(_ keyID: String) -> Bool {
    (1...64).contains(keyID.utf8.count)
      && keyID.utf8.allSatisfy {
        $0 == 0x2D || (48...57).contains($0) || (65...70).contains($0) || (97...102).contains($0)
      }
  }

  package func observe(known: KnownPairs) async throws(ProviderError) -> Observation {
    let answer = try await call.send(
      .get, graph.path("/v1.0/applications/\(object)?$select=appId,passwordCredentials"))
    let node = try answer.json(mayHaveActed: false)
    guard let id = answer.secret(node["appId"]), known.all.allSatisfy({ id.secret.isEqual(to: $0.pair.clientID) })
    else {
      throw ProviderError(
        .configuration, "this pair does not belong to the application that setting object names",
        hint: "set object to the application's object identifier, as its registration shows it")
    }
    guard case .array(let list)? = node["passwordCredentials"] else {
      throw ProviderError(.malformed, "the answer shows no passwords", status: answer.status)
    }
    var passwords: [Password] = []
    for entry in list {
      guard let keyID = answer.text(entry["keyId"]), Self.isPlain(keyID)
      else { throw ProviderError(.malformed, "a password has no key identifier", status: answer.status) }
      passwords.append(
        Password(
          keyID: keyID, name: answer.text(entry["displayName"]), hint: answer.secret(entry["hint"]),
          expires: answer.text(entry["endDateTime"]).flatMap { Timestamp(rfc3339: $0) }))
    }
    return try observation(of: passwords, id, known, at: answer.date)
  }

  private func observation(
    of passwords: [Password], _ id: SharedSecret, _ known: KnownPairs, at time: Timestamp?
  ) throws(ProviderError) -> Observation {
    let seen = try ManySecrets(passwords, id, known, name: { ($0.keyID, $0.expires) }, place: Self.index)
    guard let primary = seen.primary else {
      throw ProviderError(
        .configuration, "the application has none of this credential's passwords",
        hint: "`relatch plan NAME` says whether the pair is accepted: if so, its secret is one of the service principal"
          + " (Enterprise applications), otherwise it was removed or has ended. Make one of the application, take it"
          + " over with `relatch adopt NAME --stdin`, then remove the old one where it is",
        step: .primary)
    }
    let litter = seen.left.filter { $0.name == known.mark }.map { password in
      ObservedPair(
        place: .staged, handle: password.keyID, clientID: id, clientSecret: nil, expires: password.expires,
        sharesClientID: true, isMarked: true)
    }
    return Observation(consumer: known.mark, primary: primary, others: seen.others + litter, time: time)
  }

  /// The index in `passwords` of `one`. Throws `configuration` if that cannot be determined.
  private static func index(of one: KnownPairs.Known, in passwords: [Password]) throws(ProviderError) -> Int? {
    if let handle = one.handle { return passwords.firstIndex { $0.keyID == handle } }
    let matches = passwords.indices.filter { index in
      // Entra shows three characters of each. Fewer than that could match any password.
      guard let hint = passwords[index].hint, hint.secret.count >= 3 else { return false }
      return one.pair.clientSecret.withUnsafeBytes { secret in
        hint.secret.withUnsafeBytes { hint in
          secret.count >= hint.count && secret.prefix(hint.count).elementsEqual(hint)
        }
      }
    }
    guard matches.count <= 1 else {
      throw ProviderError(
        .configuration,
        "the application has several passwords that begin like this credential's: it is not known which one is its own",
        hint: "remove those that nobody uses")
    }
    return matches.first
  }

  // MARK: - Acts

  package func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    var password: [String: JSONValue] = ["displayName": .string(observation.consumer)]
    if let end = try end(after: observation) { password["endDateTime"] = .string(end.description) }
    let answer = try await call.ask(
      .post, graph.path("/v1.0/applications/\(object)/addPassword"),
      .json(JSONValue.object(["passwordCredential": .object(password)]).canonicalText))
    if let refusal = refusal(answer) { throw refusal }
    try answer.requireSuccess(at: graph.host, isMutating: true)
    let node = try answer.json(mayHaveActed: true)
    guard let secret = answer.secret(node["secretText"]), let keyID = answer.text(node["keyId"]),
      Self.isPlain(keyID)
    else {
      throw ProviderError(
        .malformed, "the answer to addPassword shows no password", mayHaveActed: true, status: answer.status)
    }
    return ObservedPair(
      place: .staged, handle: keyID, clientID: observation.primary.clientID, clientSecret: secret,
      expires: answer.text(node["endDateTime"]).flatMap { Timestamp(rfc3339: $0) }, sharesClientID: true,
      isMarked: true)
  }

  /// When a new password is to end; nil if Entra decides. Counted by the server's clock, as a tenant's policy is: by one
  /// that is ahead of it, the longest lifetime allowed would be too long.
  private func end(after observation: Observation) throws(ProviderError) -> Timestamp? {
    guard let lifetime else { return nil }
    guard let now = observation.time else {
      throw ProviderError(
        .malformed, "\(graph.host) does not say its time, from which setting lifetime counts",
        hint: "something in between may be removing the header Date; without the setting it is not needed",
        step: .settings)
    }
    return now + lifetime
  }

  /// Why no password was made, if the answer says more than its status does. Nothing of it is repeated.
  private func refusal(_ answer: ManagementCall.Answer) -> ProviderError? {
    guard answer.status == 400, let node = try? answer.json(mayHaveActed: false),
      let code = answer.text(node["error"]?["code"])
    else { return nil }
    switch code {
    case "CredentialTypeNotAllowedAsPerAppPolicy":
      return ProviderError(
        .configuration, "the tenant's policy allows no new secrets of this application (HTTP 400)",
        hint: "ask who administers the tenant to exempt it: app management policies, passwordAddition", status: 400)
    case _ where code.hasPrefix("Credential") && code.hasSuffix("AsPerAppPolicy"):
      let asked = lifetime.map(Policy.text) ?? "two years"
      return ProviderError(
        .configuration, "the tenant's policy limits how long a secret may live; asked for was \(asked) (HTTP 400)",
        hint: "set what it allows, for example: `relatch settings NAME lifetime=180d`", status: 400, step: .settings)
    case "TooManyAppPasswords":
      return ProviderError(
        .occupied, "\(graph.host) does not make another secret (HTTP 400)",
        hint: "delete one that nobody uses: an application that signs in personal accounts has at most two",
        status: 400)
    default: return nil
    }
  }

  /// Does nothing: all passwords are accepted equally.
  package func promote(handle: String, _ observation: Observation) async throws(ProviderError) {}

  package func delete(handle: String, _ observation: Observation) async throws(ProviderError) {
    let answer = try await call.ask(
      .post, graph.path("/v1.0/applications/\(object)/removePassword"),
      .json(JSONValue.object(["keyId": .string(handle)]).canonicalText))
    guard answer.status == 400 else { return try answer.requireSuccess(at: graph.host, isMutating: true) }
    // The answer for a password that is gone, and for one that the server has not heard of yet: only a look can tell.
    throw ProviderError(
      .notFound, "\(graph.host) does not remove the password: it is gone, or not known there yet (HTTP 400)",
      hint: "nothing is lost: run the same command again in some minutes", status: 400)
  }

  package static func token(
    for pair: Pair, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) -> IssuedToken {
    try await credentials(settings, scope: settings["scope"]).issue(pair, over: transport)
  }
}
