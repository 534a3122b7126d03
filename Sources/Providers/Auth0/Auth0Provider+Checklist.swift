package import Rotation
package import Transport
import Vault

extension Auth0Provider {
  package static func publicPage(_ settings: [String: String]) throws(ProviderError) -> Endpoint? {
    try Endpoint(serverSetting: "url", of: settings).path("/.well-known/openid-configuration")
  }

  package static var fixes: [ChecklistStep: String] {
    [
      .pair:
        "Applications, the application, Settings: compare the pair; `relatch adopt NAME` takes over the"
        + " secret that is there",
      .flow:
        "Applications, the application, Advanced Settings, Grant Types: select Client Credentials; and"
        + " authorize the application for the audience, or set another; url must be the tenant's own domain, not a"
        + " custom one",
      .permissions:
        "Applications, the administrator's application, APIs, Management API: allow read:clients,"
        + " read:client_keys and update:client_keys",
      .app:
        "set client to the application's Client ID; the administrator needs read:client_keys to see its secret",
    ]
  }
}
