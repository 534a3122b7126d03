import OAuth
import Rotation
import Transport
import Vault

/// Requests to a management interface with the token of an administering client.
struct AdministeredCall: Sendable {
  let admin: AdminAccess
  let credentials: ClientCredentials
  let http: ManagementCall

  /// Sends a request. Throws a `ProviderError` for a status outside the 200s.
  func send(
    _ method: HTTPRequest.Method, _ endpoint: Endpoint, _ body: ManagementCall.Body = .none
  ) async throws(ProviderError) -> ManagementCall.Answer {
    let answer = try await ask(method, endpoint, body)
    try answer.requireSuccess(at: endpoint.host, isMutating: method != .get)
    return answer
  }

  /// Sends a request. If the token is refused nothing was done, so this renews it and tries once more. Returns an answer
  /// of any status.
  func ask(
    _ method: HTTPRequest.Method, _ endpoint: Endpoint, _ body: ManagementCall.Body = .none
  ) async throws(ProviderError) -> ManagementCall.Answer {
    let token = try await admin.token(by: credentials, over: http.transport)
    let answer = try await http.ask(method, endpoint, token: token, body: body)
    guard answer.status == 401 else { return answer }
    await admin.session.end(token)
    return try await http.ask(
      method, endpoint, token: try await admin.token(by: credentials, over: http.transport), body: body)
  }

  /// Gets a fresh token for the administrator's `pair`, by the administrator's own settings. Throws `configuration`
  /// unless their token endpoint is on the server of `other`, which belongs to the credential.
  func grant(administrator pair: Pair, besides other: ClientCredentials) async throws(ProviderError) {
    try other.endpoint.requireSameServer(as: credentials.endpoint, admin.name)
    _ = try await credentials.grant(pair, over: http.transport)
  }
}

extension Endpoint {
  /// A path on the server that a setting names. Throws `configuration` if it does not make a URL.
  func path(_ path: String) throws(ProviderError) -> Endpoint {
    do { return try at(path) } catch { throw ProviderError(error) }
  }

  /// The server in setting `key`. Throws `configuration` if the setting has a path.
  init(serverSetting key: String, of settings: [String: String]) throws(ProviderError) {
    try self.init(setting: key, of: settings)
    guard url.hasSuffix("://\(host)") || url.hasSuffix("://\(host)/") else {
      throw ProviderError(.configuration, "setting \(key) has a path, expected only the server")
    }
  }

  /// Whether `other` is the same server, whatever the path: an administrator's token must go nowhere else.
  func isSameServer(as other: Endpoint) -> Bool {
    host.lowercased() == other.host.lowercased() && isEncrypted == other.isEncrypted
  }

  /// Fails unless `other`, of the administrator `admin`, is the same server.
  func requireSameServer(as other: Endpoint, _ admin: String) throws(ProviderError) {
    guard isSameServer(as: other) else {
      throw ProviderError(
        .configuration, "\(host) is not the server of the administrator \(admin), which is \(other.host)",
        hint: "give both the same url, the administrator first (`relatch settings`): a credential and its"
          + " administrator must be on one server", step: .admin)
    }
  }
}

/// A setting that becomes a part of a path: letters, digits, `-`, `_` and `.`, and not only dots.
func pathSetting(_ key: String, of settings: [String: String]) throws(ProviderError) -> String? {
  guard let text = settings[key] else { return nil }
  let isPlain = text.utf8.allSatisfy { byte in
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || ".-_".utf8.contains(byte)
  }
  guard isPlain, (1...128).contains(text.utf8.count), text.contains(where: { $0 != "." }) else {
    throw ProviderError(
      .configuration, "setting \(key): expected 1 to 128 characters of A-Z a-z 0-9 . _ -",
      hint: "copy it from the provider's pages")
  }
  return text
}
