package import Rotation
package import Transport
import Vault

extension KeycloakProvider {
  package static func publicPage(_ settings: [String: String]) throws(ProviderError) -> Endpoint? {
    guard let realm = try pathSetting("realm", of: settings) else { return nil }
    return try Endpoint(serverSetting: "url", of: settings).path("\(settings["base-path"] ?? "")/realms/\(realm)")
  }

  package static var fixes: [ChecklistStep: String] {
    [
      .pair:
        "Clients, the client, Credentials: compare the pair; `relatch adopt NAME` takes over the secret"
        + " that is there",
      .flow: "Clients, the client, Settings: switch on Client authentication and Service accounts roles",
      .admin:
        "make the administrator a client of the same realm with Service accounts roles; `relatch doctor`"
        + " for it says more",
      .permissions:
        "Clients, the administrator's client, Service account roles: assign manage-clients of"
        + " realm-management",
      .app: "set client to the UUID in the address of the client's page, not to its client_id",
    ]
  }
}
