import ArgumentParser
import Providers
import Rotation
import Storage
import StorageSQLite
import Vault

/// What a shell offers for an argument that names something in the vault.
///
/// The shell asks while a line is being typed: nothing is unlocked, logged, remembered or printed, and a vault that
/// cannot be read offers nothing.
extension CompletionKind {
  /// The names of the vault's credentials, as its rows have them: nothing is verified for a word that is only typed.
  static let credentialName = ofVault { store, _ in
    try await store.read { transaction in
      var names: [String] = []
      try transaction.scan(.credentials, from: [], to: nil, reversed: false) { key, _ in
        names.append(String(decoding: key, as: UTF8.self))
        return true
      }
      return names
    }
  }

  /// The names of the vault's members.
  static let memberName = ofVault { store, _ in try await LockedVault(store).read { $0.members.map(\.name) } }

  /// The tags of the vault's credentials.
  static let tag = ofVault { store, _ in
    try await LockedVault(store).read { view in
      Set(try view.credentialRecords().credentials.flatMap(\.policy.tags)).sorted()
    }
  }

  /// The sinks, and the hooks, of the credentials that the line names.
  static let sinkName = deliveryName { $0.isFile }
  static let hookName = deliveryName { !$0.isFile }

  private static func deliveryName(where isMeant: @escaping @Sendable (DeliveryRecord) -> Bool) -> CompletionKind {
    ofVault { store, words in
      try await LockedVault(store).read { view in
        words.compactMap { try? view.credential($0) }.flatMap(\.deliveries).filter(isMeant).map(\.name)
      }
    }
  }

  /// The kinds of providers.
  static let providerID = CompletionKind.list(providerDescriptors.map(\.id))

  private static func ofVault(
    _ names: @escaping @Sendable (any Store, _ words: [String]) async throws -> [String]
  ) -> CompletionKind {
    .custom { (words: [String], _: Int, _: String) async in
      var settings = CommonSettings()
      settings.vault = vault(in: words)
      guard let database = try? Places(settings).database, PrivateFile.exists(database),
        let store = try? SQLiteStore(opening: database, tables: vaultTables)
      else { return [] }
      return safe((try? await names(store, words)) ?? [])
    }
  }

  /// Those of `names` that a vault may have.
  ///
  /// Bash expands each word that it is offered, commands in it too, and anyone who can write the vault's folder chooses
  /// what its rows say. The characters of a name mean nothing to any shell.
  static func safe(_ names: [String]) -> [String] { names.filter { (try? Name.check($0, "name")) != nil } }

  /// The value of `--vault` in a line that is being typed, whose words are as they were typed: quoted, and in bash with
  /// `=` as a word of its own. Nothing is expanded but `~`.
  static func vault(in words: [String]) -> String? {
    // What follows `--` is another program's.
    let words = words.prefix { $0 != "--" }
    var typed: String?
    for (index, word) in zip(words.indices, words) {
      if word == "--vault" {
        typed = words[(index + 1)...].first { $0 != "=" }
      } else if word.hasPrefix("--vault=") {
        typed = String(word.dropFirst("--vault=".count))
      }
    }
    guard let path = typed?.filter({ !"\\\"'".contains($0) }) else { return nil }
    guard path.hasPrefix("~/"), let home = ProcessEnvironment.value(of: "HOME") else { return path }
    return home + path.dropFirst()
  }
}
