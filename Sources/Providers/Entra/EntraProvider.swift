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
package struct EntraProvider: ProviderKind, TokenIssuer, AdministratorGranter {
  package static let descriptor = ProviderDescriptor(
    id: "entra",
    summary: "Client secrets of application registrations in Microsoft Entra ID: passwords, by Microsoft Graph",
    settings: [
      .init("tenant", "the directory's identifier or domain"),
      .init("object", "the application's object identifier: not its client_id", isRequiredToRotate: true),
      .init(
        "scope",
        "the scope to request; that of graph-url, as in https://graph.microsoft.com/.default, if absent"),
      .init(
        "login-url", "where tokens are granted; https://login.microsoftonline.com if absent, others in national clouds"),
      .init("graph-url", "Microsoft Graph; https://graph.microsoft.com if absent, others in national clouds"),
    ],
    life: .init(
      [.overlap], secretsAtOnce: nil, changesClientID: false,
      oldPair: "until it is removed or ends by its own date, two years after it was made",
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
  private let credentials: ClientCredentials
  private let call: AdministeredCall

  package var replacement: Replacement { .overlap }

  package static func check(_ settings: [String: String]) throws(ProviderError) {
    try descriptor.checkKeys(settings)
    _ = try credentials(settings)
    _ = try pathSetting("object", of: settings)
  }

  private static func graph(_ settings: [String: String]) throws(ProviderError) -> Endpoint {
    try Endpoint(serverSetting: "graph-url", of: ["graph-url": settings["graph-url"] ?? "https://graph.microsoft.com"])
  }

  private static func credentials(
    _ settings: [String: String], scope: String? = nil
  ) throws(ProviderError) -> ClientCredentials {
    let login = try Endpoint(
      serverSetting: "login-url", of: ["login-url": settings["login-url"] ?? "https://login.microsoftonline.com"])
    guard let tenant = try pathSetting("tenant", of: settings) else {
      throw ProviderError(.configuration, "setting tenant is missing", hint: "give it: --set tenant=…")
    }
    let asked = if let scope { scope } else { try graphScope(settings) }
    return ClientCredentials(
      endpoint: try login.path("/\(tenant)/oauth2/v2.0/token"), authentication: .body, scope: asked)
  }

  package init(
    settings: [String: String], admin: AdminAccess, transport: any HTTPTransport
  ) throws(ProviderError) {
    try Self.check(settings)
    guard let object = try pathSetting("object", of: settings) else {
      throw ProviderError(
        .configuration, "setting object is missing: there is nothing to rotate",
        hint: "set it: `relatch settings NAME object=…`")
    }
    self.object = object
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
    return try observation(of: passwords, id, known)
  }

  private func observation(
    of passwords: [Password], _ id: SharedSecret, _ known: KnownPairs
  ) throws(ProviderError) -> Observation {
    let seen = try ManySecrets(passwords, id, known, name: { ($0.keyID, $0.expires) }, place: Self.index)
    guard let primary = seen.primary else {
      throw ProviderError(
        .configuration, "the application has none of this credential's passwords",
        hint: "make one there, then take it over with `relatch adopt NAME --stdin`: the old one was removed or"
          + " has ended",
        step: .primary)
    }
    let litter = seen.left.filter { $0.name == known.mark }.map { password in
      ObservedPair(
        place: .staged, handle: password.keyID, clientID: id, clientSecret: nil, expires: password.expires,
        sharesClientID: true, isMarked: true)
    }
    return Observation(consumer: known.mark, primary: primary, others: seen.others + litter)
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
    let password = JSONValue.object(["displayName": .string(observation.consumer)])
    let answer = try await call.send(
      .post, graph.path("/v1.0/applications/\(object)/addPassword"),
      .json(JSONValue.object(["passwordCredential": password]).canonicalText))
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

  /// Does nothing: all passwords are accepted equally.
  package func promote(handle: String, _ observation: Observation) async throws(ProviderError) {}

  package func delete(handle: String, _ observation: Observation) async throws(ProviderError) {
    _ = try await call.send(
      .post, graph.path("/v1.0/applications/\(object)/removePassword"),
      .json(JSONValue.object(["keyId": .string(handle)]).canonicalText))
  }

  package func grant(_ pair: Pair, overNewConnection: Bool) async throws(ProviderError) -> GrantEvidence {
    try await credentials.grant(pair, over: call.http.transport, overNewConnection: overNewConnection)
  }

  package func grant(administrator pair: Pair) async throws(ProviderError) {
    try await call.grant(administrator: pair, besides: credentials)
  }

  package static func token(
    for pair: Pair, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) -> IssuedToken {
    try await credentials(settings, scope: settings["scope"]).issue(pair, over: transport)
  }

  package func administer(with pair: Pair) async { await call.admin.session.end() }
}
