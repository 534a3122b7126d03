import Audit
import JSON
import OAuth
import Rotation
import Sodium
import Transport
import Vault

/// A token endpoint and how to present a pair to it, from the settings of a credential (RFC 6749 §4.4).
struct ClientCredentials: Sendable {
  let endpoint: Endpoint
  let authentication: ClientAuthentication
  let scope: String?
  /// Further members of the form that some servers want; not secret.
  let parameters: [(name: String, value: String)]
  /// What a failure means at this kind of server, if it is not what the specification says; nil if it is.
  var meaning: @Sendable (OAuthError) -> ProviderError? = { _ in nil }

  static let authenticationSetting = ProviderDescriptor.Setting(
    "authentication",
    "how the pair is sent: basic (encoded as RFC 6749 says), basic-raw (not encoded) or body; basic if absent",
    isOfUse: true)
  static let scopeSetting = ProviderDescriptor.Setting(
    "scope", "the scope to request, where the server needs one", isOfUse: true)

  /// Throws `configuration` if a setting is missing or malformed.
  init(_ settings: [String: String]) throws(ProviderError) {
    try self.init(
      endpoint: Endpoint(setting: "token-url", of: settings), settings: settings)
  }

  init(
    endpoint: Endpoint, settings: [String: String], parameters: [(name: String, value: String)] = []
  ) throws(ProviderError) {
    self.endpoint = endpoint
    let word = settings["authentication"] ?? ClientAuthentication.basic.rawValue
    guard let authentication = ClientAuthentication(rawValue: word) else {
      let known = ClientAuthentication.allCases.map(\.rawValue).joined(separator: ", ")
      throw ProviderError(.configuration, "setting authentication: \(Name.printable(word)) is not one of \(known)")
    }
    self.authentication = authentication
    scope = settings["scope"]
    self.parameters = parameters
  }

  init(
    endpoint: Endpoint, authentication: ClientAuthentication, scope: String?,
    parameters: [(name: String, value: String)] = []
  ) {
    self.endpoint = endpoint
    self.authentication = authentication
    self.scope = scope
    self.parameters = parameters
  }

  /// A fresh token for `pair`, every time.
  func token(
    _ pair: Pair, over transport: any HTTPTransport, overNewConnection: Bool = false
  ) async throws(ProviderError) -> TokenAnswer {
    do {
      let request = try TokenRequest(
        clientID: pair.clientID, clientSecret: pair.clientSecret, by: authentication,
        parameters: (scope.map { [("scope", $0)] } ?? []) + parameters)
      return try await TokenEndpoint(endpoint, over: transport).grant(request, overNewConnection: overNewConnection)
    } catch let error as OAuthError {
      throw meaning(error) ?? ProviderError(grant: error, host: endpoint.host)
    } catch {
      throw ProviderError(.malformed, "the token request could not be made")
    }
  }

  /// Proves that `pair` is granted a token, and drops the token.
  func grant(
    _ pair: Pair, over transport: any HTTPTransport, overNewConnection: Bool = false
  ) async throws(ProviderError) -> GrantEvidence {
    let answer = try await token(pair, over: transport, overNewConnection: overNewConnection)
    return GrantEvidence(
      status: answer.status, signature: .absent, providerTime: answer.date.flatMap { Timestamp(httpDate: $0) })
  }
}

extension AdminAccess {
  /// An administering token, requested by `credentials` if the session has none. Errors name the administrator.
  func token(
    by credentials: ClientCredentials, over transport: any HTTPTransport
  ) async throws(ProviderError) -> SharedSecret {
    do {
      let pair = pair
      return try await session.token { try await credentials.token(pair(), over: transport).accessToken }
    } catch let error as ProviderError where error.local == nil {
      throw ProviderError(
        error.code == .refused ? .notPermitted : error.code, "as \(name): \(error)",
        hint: error.hint ?? "check that the active pair of the administrator \(name) is accepted",
        status: error.status, retryAfter: error.retryAfter, step: error.step(of: self))
    } catch {
      throw ProviderError("the pair", of: name, cannotBeUsed: error)
    }
  }
}

extension Endpoint {
  /// The URL in setting `key`. Throws `configuration` if it is missing, or if no secrets may be sent to it.
  init(setting key: String, of settings: [String: String]) throws(ProviderError) {
    guard let url = settings[key] else {
      throw ProviderError(.configuration, "setting \(key) is missing", hint: "give it: \(key)=https://…")
    }
    do { try self.init(url) } catch {
      throw ProviderError(.configuration, "setting \(key): \(error)", hint: "use the form https://example.com/…")
    }
  }
}
