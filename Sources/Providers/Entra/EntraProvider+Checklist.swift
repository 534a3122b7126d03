package import Rotation
package import Transport
import Vault

extension EntraProvider {
  package static func publicPage(_ settings: [String: String]) throws(ProviderError) -> Endpoint? {
    guard let tenant = try pathSetting("tenant", of: settings) else { return nil }
    let login = try Endpoint(
      serverSetting: "login-url", of: ["login-url": settings["login-url"] ?? "https://login.microsoftonline.com"])
    return try login.path("/\(tenant)/v2.0/.well-known/openid-configuration")
  }

  package static var fixes: [ChecklistStep: String] {
    [
      .pair: "App registrations, the application, Certificates & secrets: check that the secret has not expired",
      .scopes: "set scope to an API's identifier followed by /.default",
      .permissions:
        "App registrations, the administrator's application, API permissions: grant"
        + " Application.ReadWrite.OwnedBy, with consent, and make it an owner of this application",
      .app: "set object to the application's Object ID on the page of its registration, not to its client_id",
    ]
  }
}
