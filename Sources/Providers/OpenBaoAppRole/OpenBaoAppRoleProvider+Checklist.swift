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
      .host: "see `bao status`: a server that is sealed or not initialised answers nobody",
      .pair: "read role-id of the role, and make a secret-id; `relatch adopt NAME --stdin` takes the pair over",
      .admin: "see the administrator's own secret-id and token policies: `relatch doctor` of it says more",
      .permissions:
        "the administrator's policy: update secret-id, secret-id/lookup, secret-id-accessor/lookup and"
        + " secret-id-accessor/destroy below the role, and list secret-id",
      .app: "setting role names the role below the mount: `bao list auth/MOUNT/role`",
    ]
  }
}
