package import Rotation
package import Transport
import Vault

extension OAuthRegistrationProvider {
  package static func publicPage(_ settings: [String: String]) throws(ProviderError) -> Endpoint? {
    try Endpoint(setting: "token-url", of: settings)
  }

  package static var fixes: [ChecklistStep: String] {
    [
      .flow: "register the client with grant_types client_credentials, or let the server's administrator allow it",
      .scopes:
        "set scope to one that the client is registered with, and authentication to how the server expects the pair",
    ]
  }
}
