import Audit
package import JSON
import Sodium

/// Some versions of a credential as a change has read them, still sealed: they are opened once the entry that names
/// them is durable.
package struct SealedVersions: Sendable {
  let header: VaultHeader
  let credential: Credential
  let key: [UInt8]
  let versions: [(Version, [UInt8])]
}

/// A credential's key, opened, with the record that names it.
package struct CredentialKey: Sendable {
  let credential: Credential
  let secret: SharedSecret
}

extension VaultChange {
  /// Reads `versions` of `credential` for `member`, and writes an entry `event` that names them.
  ///
  /// Throws `notPermitted` if the member cannot open the credential, `corrupt` if a version is missing.
  package func sealedVersions(
    of credential: Credential, choosing versions: [Version], for member: Member, event: EventName,
    _ fields: [String: JSONValue] = [:]
  ) throws -> SealedVersions {
    let key = try view.sealedKey(of: credential, for: member)
    let sealed = try versions.map { version in
      guard let record = try view.sealedPair(of: credential, version.number) else {
        throw VaultError(.corrupt, "version \(version.number) of \(credential.name) is missing")
      }
      return (version, record)
    }
    var fields = fields
    fields["versions"] = .array(versions.map { .integer(Int(clamping: $0.number)) })
    try log(event, about: credential.name, fields)
    return SealedVersions(header: view.header, credential: credential, key: key, versions: sealed)
  }
}
