import Audit
package import JSON
import Sodium

/// Some versions of a credential as a change has read them, still sealed: they are opened once the entry that names
/// them is durable.
package struct SealedVersions: Sendable {
  let header: VaultHeader
  let credential: Credential
  let key: [UInt8]
  let versions: [(version: Version, record: [UInt8])]

  /// The numbers of the versions, as entries that name them have them.
  var numbers: JSONValue { .array(versions.map { .integer(Int(clamping: $0.version.number)) }) }
}

/// A credential's key, opened, with the record that names it.
package struct CredentialKey: Sendable {
  let credential: Credential
  let secret: SharedSecret
}

extension VaultView {
  /// Reads the versions of `credential` that `choose` returns, for `member`. Throws `notPermitted` if the member cannot
  /// open the credential, `corrupt` if a version is missing.
  func sealedVersions(
    of credential: Credential, for member: Member, choosing choose: (Credential) throws -> [Version]
  ) throws -> SealedVersions {
    let key = try sealedKey(of: credential, for: member)
    let sealed = try choose(credential).map { version in
      guard let record = try sealedPair(of: credential, version.number) else {
        throw VaultError(.corrupt, "version \(version.number) of \(credential.name) is missing")
      }
      return (version: version, record: record)
    }
    return SealedVersions(header: header, credential: credential, key: key, versions: sealed)
  }
}

extension VaultChange {
  /// Reads `versions` of `credential` for `member`, and writes an entry `event` that names them.
  ///
  /// Throws `notPermitted` if the member cannot open the credential, `corrupt` if a version is missing.
  package func sealedVersions(
    of credential: Credential, choosing versions: [Version], for member: Member, event: EventName,
    _ fields: [String: JSONValue] = [:]
  ) throws -> SealedVersions {
    let sealed = try view.sealedVersions(of: credential, for: member) { _ in versions }
    var fields = fields
    fields["versions"] = sealed.numbers
    try log(event, about: credential.name, fields)
    return sealed
  }
}
