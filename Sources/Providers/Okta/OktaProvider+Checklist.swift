package import Rotation
package import Transport
import Vault

extension OktaProvider {
  package static func publicPage(_ settings: [String: String]) throws(ProviderError) -> Endpoint? {
    // An administrator is an API token, for which no token endpoint is known.
    guard settings["token-url"] != nil else { return try Endpoint(serverSetting: "url", of: settings) }
    return try Endpoint(setting: "token-url", of: settings)
  }

  package static var fixes: [ChecklistStep: String] {
    [
      .pair: "Applications, the application, General, Client Credentials: check that the secret is active there",
      .flow:
        "Applications, the application, General, Grant type: select Client Credentials; and add a rule"
        + " for it to the authorization server; Proof of possession (DPoP) must be off there",
      .scopes: "set scope to one that the authorization server grants to this client",
      .admin: "Security, API, Tokens: make a token, and add it as the client_secret of the administrator",
      .permissions: "give the person who made the API token a role that manages this application",
      .app: "set app to the application's identifier in the address of its page: 0oa…",
    ]
  }
}
