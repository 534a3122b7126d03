import Audit
import JSON

/// The settings that credentials had before each change of them, read from the log.
package struct FormerSettings: Sendable {
  private struct Change {
    /// The newest version that there was, or was asked for, before it.
    let newest: UInt64
    let before: [String: String?]
  }

  private var changes: [String: [Change]] = [:]

  /// Goes through the whole log of `view`; only the credentials `names` are looked at.
  package init(of names: Set<String>, in view: VaultView) throws {
    var newest: [String: UInt64] = [:]
    var changes: [String: [Change]] = [:]
    try view.replay { entry, _ in
      guard let name = entry.credential, names.contains(name) else { return }
      switch entry.event {
      case EventName.credentialAdded.text: (newest[name], changes[name]) = (1, [])
      case "rotation.staged" where entry.isVouchedFor: newest[name, default: 0] += 1
      case EventName.credentialRekeyed.text:
        guard case .object(let before)? = entry.details["before"], case .object(let settings)? = before["settings"]
        else { return }
        changes[name, default: []].append(
          Change(
            newest: newest[name] ?? 0,
            before: settings.mapValues { if case .string(let text) = $0 { text } else { nil } }))
      default: return
      }
    }
    self.changes = changes
  }

  /// `credential` with the settings that it had when version `number` was the newest.
  package func record(of credential: Credential, atVersion number: UInt64) -> Credential {
    var former = credential
    for change in (changes[credential.name] ?? []).reversed() {
      guard number <= change.newest else { break }
      for (key, value) in change.before { former.settings[key] = value }
    }
    return former
  }
}
