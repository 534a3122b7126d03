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
      .pair: "App registrations, the application, Certificates & secrets: see that the secret has not ended",
      .scopes: "setting scope has the form of an API's identifier and /.default",
      .permissions:
        "App registrations, the administrator's, API permissions: Application.ReadWrite.OwnedBy, with consent,"
        + " and make it an owner",
      .app: "setting object is the application's Object ID on the page of its registration, not its client_id",
    ]
  }
}
