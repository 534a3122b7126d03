package import Rotation
package import Transport
import Vault

extension OpenBaoAppRoleProvider {
  package static func publicPage(_ settings: [String: String]) throws(ProviderError) -> Endpoint? {
    let server = try OpenBaoSettings(settings).server
    do { return try server.at("/v1/sys/health?standbyok=true&perfstandbyok=true") } catch { throw ProviderError(error) }
  }

  package static var fixes: [ChecklistStep: String] {
    [
      .host: "run `bao status`: a server that is sealed or not initialised answers nobody",
      .pair: "read the role's role-id and make a secret-id, then take the pair over with `relatch adopt NAME --stdin`",
      .admin: "check the administrator's own secret-id and token policies; `relatch doctor` for it says more",
      .permissions:
        "let the administrator's policy update secret-id, secret-id/lookup, secret-id-accessor/lookup and"
        + " secret-id-accessor/destroy below the role, and list secret-id",
      .app: "set role to the role's name, which `bao list auth/MOUNT/role` lists",
    ]
  }
}
