import Audit
import JSON

extension VaultView {
  /// Fails with `wrongState` if others are rotated by the token of `credential`: they could not be once it belongs to
  /// another vault.
  func requireAdministersOnlyItself(_ credential: Credential) throws {
    let administered = try administered(by: credential.name)
    guard administered.isEmpty else {
      throw HandoffError(
        .wrongState,
        "\(credential.name) administers \(administered.joined(separator: ", ")), which could not be rotated without it",
        hint: "hand over or remove these first; without --transfer it can be sent as it is")
    }
  }

  /// Fails with `corrupt` unless `credential` says that it was handed over exactly if an owner did that, and none took
  /// it back: otherwise any member who rotates it could keep it from being rotated, or take it back.
  func requireTransfer(of credential: Credential) throws {
    let (name, handoff) = (credential.name, credential.transfer?.handoff.description)
    guard known.membership.bounds.transferred[name] != handoff else { return }
    // Changed in this very commit, or remembered by a program that did not keep this.
    var newest: String?
    try replay { entry, _ in
      guard entry.says("credential", name) else { return }
      switch EventName(entry.event) {
      case .handoffSent where entry.details["transfer"] == true:
        if let sent = entry.text("handoff") { newest = sent }
      case .handoffWithdrawn, .credentialAdded, .credentialRemoved: newest = nil
      default: break
      }
    }
    guard newest == handoff else {
      throw VaultError(.corrupt, "the record of \(name) does not match the owner's log entry on its transfer")
    }
  }

  /// The entries about `handoff` from index `first` on, in order. The time this takes grows with the log.
  func entries(about handoff: Identifier, from first: UInt64 = 0) throws -> [LogEntry] {
    var found: [LogEntry] = []
    if first == 0 {
      try replay { entry, _ in if entry.isAbout(handoff) { found.append(entry) } }
    } else {
      for index in first..<max(first, logSize) {
        let entry = try authenticatedEntry(at: index)
        if entry.isAbout(handoff) { found.append(entry) }
      }
    }
    return found
  }
}

extension LogEntry {
  fileprivate func isAbout(_ handoff: Identifier) -> Bool {
    event.hasPrefix("handoff.") && says("handoff", handoff.description)
  }

  func isEvent(_ name: EventName) -> Bool { event == name.text }
}

extension [LogEntry] {
  /// Fails with `replayed` if one of them says that the handoff was imported.
  func requireNotOpened() throws {
    guard let opened = first(where: { $0.isEvent(.handoffOpened) }) else { return }
    let name = opened.text("credential") ?? ""
    throw HandoffError(
      .replayed,
      "the handoff was opened in this vault at \(opened.time), as \(Name.printable(name)), by \(opened.member)",
      hint: "nothing was imported again; `relatch handoff receipt FILE` gives its receipt again"
        + (opened.details["transfer"] == true
          ? "; if its rotation was cut off: `relatch rotate \(name)`, then `relatch retire \(name)` ends the sender's pair"
          : ""))
  }
}
