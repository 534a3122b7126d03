import OAuth
import Rotation
import Sodium
import Transport
import Vault

/// The checked settings of one registered client.
struct OAuthRegistrationSettings: Sendable {
  let credentials: ClientCredentials
  /// Where clients are registered (RFC 7591 §3); nil for a credential that is only used.
  let registration: Endpoint?
  /// The URL where a registered client is managed (RFC 7592 §2): its parts before and after the identifier.
  let clientURL: (before: String, after: String)?
  let replacement: Replacement
  /// Whether the settings vouch that a PUT does not change the registration_access_token.
  let keepsToken: Bool

  private static let placeholder = "{client_id}"

  static let descriptor = ProviderDescriptor(
    id: "oauth-registration",
    summary: "Any OAuth server with dynamic client registration and its management (RFC 7591, RFC 7592)",
    settings: [
      .init("token-url", "the token endpoint", isOfUse: true),
      .init("registration-url", "the registration endpoint", isRequiredToRotate: true),
      .init(
        "client-url",
        "where a registered client is managed, with {client_id} in it; the registration endpoint, a slash and the identifier if absent",
        isOfUse: true),
      .init(
        "mode",
        "overlap: a second client like the first is registered, and the first deleted later; cut-over: the server makes a new secret on PUT, which ends the old one; overlap if absent",
        isOfUse: true),
      .init(
        "keeps-token",
        "yes if the server does not change a client's registration_access_token on PUT; needed for cut-over: a new token that is lost with its answer would leave a client that nobody can manage",
        isOfUse: true),
      ClientCredentials.authenticationSetting, ClientCredentials.scopeSetting,
    ],
    life: .init(
      [.overlap, .cutOver], secretsAtOnce: nil, changesClientID: true,
      oldPair: "until its registration is deleted; with cut-over, only until the new one is made",
      lostAnswer:
        "with cut-over the registration is read again: a server that does not show the secret there, or is not known to keep the token that reads it, is refused before anything is changed there; a registration whose answer was lost belongs to nobody, and another is made"
    ),
    administrator:
      "each client is managed with its registration_access_token, which is added and kept with its pair; if another credential administers, an access token of that credential is sent to the registration endpoint",
    documents: [
      .init("RFC 7591, Dynamic Client Registration", "https://www.rfc-editor.org/rfc/rfc7591"),
      .init("RFC 7592, Dynamic Client Registration Management", "https://www.rfc-editor.org/rfc/rfc7592"),
    ])

  init(_ settings: [String: String]) throws(ProviderError) {
    try Self.descriptor.checkKeys(settings)
    credentials = try ClientCredentials(settings)
    switch settings["mode"] ?? "overlap" {
    case "overlap": replacement = .overlap
    case "cut-over": replacement = .cutOver
    case let word:
      throw ProviderError(.configuration, "setting mode: \(Name.printable(word)) is neither overlap nor cut-over")
    }
    switch settings["keeps-token"] ?? "no" {
    case "yes": keepsToken = true
    case "no": keepsToken = false
    case let word:
      throw ProviderError(.configuration, "setting keeps-token: \(Name.printable(word)) is neither yes nor no")
    }
    guard settings["registration-url"] != nil else {
      registration = nil
      clientURL = nil
      return
    }
    let registration = try Endpoint(setting: "registration-url", of: settings)
    self.registration = registration
    let template = settings["client-url"] ?? "\(registration.url)/\(Self.placeholder)"
    let parts = template.split(separator: Self.placeholder, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, !parts[0].isEmpty else {
      throw ProviderError(
        .configuration, "setting client-url: expected {client_id} in it exactly once",
        hint: "write it as in https://example.com/register/{client_id}")
    }
    clientURL = (parts[0], parts[1])
    let example: Endpoint
    do { example = try Endpoint("\(parts[0])x\(parts[1])") } catch {
      throw ProviderError(.configuration, "setting client-url: \(error)")
    }
    // The token that manages a client goes only to the server that made the client.
    guard example.host.lowercased() == registration.host.lowercased(), example.isEncrypted == registration.isEncrypted
    else {
      throw ProviderError(
        .configuration,
        "setting client-url: \(example.host) is not the server of registration-url, \(registration.host)")
    }
  }

  /// Fails if losing the answer to a PUT could leave the client unmanageable.
  func requireRecoverable() throws(ProviderError) {
    guard replacement == .cutOver, registration != nil, !keepsToken else { return }
    throw ProviderError(
      .configuration,
      "a server may give out another registration_access_token on PUT (RFC 7592): if that answer were"
        + " lost, nobody could read the new secret any more, and the old one would have ended",
      hint: "use mode=overlap; or, if the server's documents say that it keeps the token, keeps-token=yes")
  }

  /// The URL where the client `clientID` is managed. As the RFC requires, the identifier is part of it.
  func endpoint(of clientID: borrowing SecretBytes) throws(ProviderError) -> Endpoint {
    guard let clientURL else { throw ProviderError(.configuration, "setting registration-url is missing") }
    let id = clientID.withUnsafeBytes { String(decoding: FormEncoding.encoded($0), as: UTF8.self) }
    do { return try Endpoint(clientURL.before + id + clientURL.after) } catch {
      throw ProviderError(.configuration, "the client's identifier does not fit into client-url")
    }
  }
}
