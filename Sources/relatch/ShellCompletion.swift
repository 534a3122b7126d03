import ArgumentParser
import Providers
import Rotation
import StorageSQLite
import Vault

/// What a shell offers for an argument that names something of the vault.
///
/// The shell asks while a line is being typed: nothing is unlocked, logged, remembered or printed, and a vault that cannot be
/// read offers nothing.
extension CompletionKind {
  /// The names of the vault's credentials.
  static let credentialName = ofVault { try $0.names() }

  /// The names of the vault's members.
  static let memberName = ofVault { $0.members.map(\.name) }

  /// The kinds of providers.
  static let providerID = CompletionKind.list(providerDescriptors.map(\.id))

  private static func ofVault(_ names: @escaping @Sendable (VaultView) throws -> [String]) -> CompletionKind {
    .custom { (words: [String], _: Int, _: String) async in
      var settings = CommonSettings()
      settings.vault = vault(in: words)
      guard let database = try? Places(settings).database, PrivateFile.exists(database),
        let store = try? SQLiteStore(opening: database, tables: vaultTables)
      else { return [] }
      return (try? await LockedVault(store).read(names)) ?? []
    }
  }

  /// The value of `--vault` in a line that is being typed, whose words are as they were typed.
  static func vault(in words: [String]) -> String? {
    var typed: String?
    if let index = words.lastIndex(of: "--vault"), index + 1 < words.count { typed = words[index + 1] }
    for word in words where word.hasPrefix("--vault=") { typed = String(word.dropFirst("--vault=".count)) }
    guard let typed, typed.hasPrefix("~/"), let home = ProcessEnvironment.value(of: "HOME") else { return typed }
    return home + typed.dropFirst()
  }
}
