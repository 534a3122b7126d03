import Audit
import Glibc
import Sodium
import Vault

/// Tokens that are kept for later releases: a sealed file for each credential, in the vault's folder.
///
/// Whatever is wrong with them, a fresh one can be had: none of this fails.
struct KeptTokens {
  private let folder: String

  init(of places: Places) { self.init(inVault: places.vault) }

  /// Of the vault in the folder `path`.
  init(inVault path: String) { folder = path + "/tokens" }

  /// The record that is kept of the credential; nil if there is none.
  func record(of access: TokenAccess) -> [UInt8]? { record(of: access.credential.id) }

  /// The same, by the credential's identifier.
  func record(of credential: Identifier) -> [UInt8]? {
    try? PrivateFile.readPublic("\(folder)/\(credential)", limit: TokenAccess.greatestFile)
  }

  /// Keeps `record` in the place of the one before it, which is wiped. False if it could not be.
  func keep(_ record: [UInt8], of access: TokenAccess) -> Bool {
    do {
      if !PrivateFile.exists(folder) { try PrivateFile.createFolder(folder, inheritsOwner: true) }
      try PrivateFile.replace(file(access), record.span.bytes, wipesOld: true, inheritsOwner: true)
      return true
    } catch { return false }
  }

  /// Removes what is kept of the credential `id`, after wiping it.
  func forget(_ id: Identifier) {
    let file = "\(folder)/\(id)"
    guard PrivateFile.exists(file) else { return }
    // In an empty one's place, so that the bytes of before are wiped.
    try? PrivateFile.replace(file, [UInt8]().span.bytes, wipesOld: true)
    unlink(file)
  }

  private func file(_ access: TokenAccess) -> String { "\(folder)/\(access.fileName)" }
}
