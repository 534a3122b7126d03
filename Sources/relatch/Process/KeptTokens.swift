import Audit
import Glibc
import Vault

/// Tokens kept for later releases: one sealed file for each credential, in the vault's folder.
///
/// Nothing here fails: whatever is wrong with a kept token, the provider can grant a fresh one.
struct KeptTokens {
  private let folder: String

  init(of places: Places) { self.init(inVault: places.vault) }

  /// The tokens of the vault in the folder `path`.
  init(inVault path: String) { folder = path + "/tokens" }

  /// Whether what is kept for the credential was kept at a moment that is yet to come, by the clock of `now`. One of the
  /// two clocks is wrong then, and nobody knows whether the token has ended.
  func isAhead(of now: Timestamp, _ access: TokenAccess) -> Bool {
    var information = stat()
    guard stat(file(access), &information) == 0 else { return false }
    return Int64(information.st_mtim.tv_sec) > now.milliseconds / 1000 + Self.tolerance
  }

  /// How far clocks may differ, in seconds: a folder can be on another machine.
  private static let tolerance: Int64 = 60

  /// The record kept for the credential; nil if there is none.
  func record(of access: TokenAccess) -> [UInt8]? { record(of: access.credential.id) }

  /// The same, by the credential's identifier.
  func record(of credential: Identifier) -> [UInt8]? {
    try? PrivateFile.readPublic("\(folder)/\(credential)", limit: TokenAccess.maximumFileSize)
  }

  /// Keeps `record` and wipes the one it replaces. Returns false if it could not be kept.
  func keep(_ record: [UInt8], of access: TokenAccess) -> Bool {
    do {
      if !PrivateFile.exists(folder) { try PrivateFile.createFolder(folder, inheritsOwner: true) }
      try PrivateFile.replace(file(access), record.span.bytes, wipesOld: true, inheritsOwner: true)
      return true
    } catch { return false }
  }

  /// Wipes and removes what is kept for the credential `id`.
  func forget(_ id: Identifier) {
    let file = "\(folder)/\(id)"
    guard PrivateFile.exists(file) else { return }
    // Replaced by an empty file first, which wipes the old bytes.
    try? PrivateFile.replace(file, [UInt8]().span.bytes, wipesOld: true)
    unlink(file)
  }

  private func file(_ access: TokenAccess) -> String { "\(folder)/\(access.fileName)" }
}
