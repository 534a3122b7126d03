import Audit
import JSON
import Providers
import Rotation
import Vault

/// What a run may have to end: the newest leaked version of a credential, and the token record kept for it when the run
/// began.
struct LeakSnapshot: Sendable {
  let newest: UInt64
  let record: [UInt8]?
}

// A kept token of a leaked pair is the one that this vault knows of. If its provider can end it, it is ended once the
// pair is replaced. Whatever goes wrong there is reported and logged, but is not a failure of the revocation.
extension RotationComposition {
  /// The newest leaked version of a credential, and the token record kept for it; nil if no leak is known.
  ///
  /// Read before the run: anyone who asks for a token of the new pair meanwhile may replace the kept one.
  func leakBefore(of name: String, for goal: RotationRunner.Goal) async -> LeakSnapshot? {
    let credential = try? await vault.read { try $0.hasCredential(name) ? $0.credential(name) : nil }
    guard let credential else { return nil }
    var newest = credential.leak?.version
    if case .revoke(let revocation) = goal {
      newest = revocation.version ?? newest ?? credential.version(in: .active)?.number
    }
    return newest.map { LeakSnapshot(newest: $0, record: tokens.record(of: credential.id)) }
  }

  /// Ends the kept tokens of the leaked versions, if those were replaced.
  func endKeptTokens(of name: String, _ leak: LeakSnapshot, _ report: Report) async {
    do {
      let credential = try await vault.read { try $0.credential(name) }
      guard let active = credential.version(in: .active)?.number, active > leak.newest else { return }
      let kept = tokens.record(of: credential.id)
      let records = Set([leak.record, kept].compactMap(\.self))
      guard !records.isEmpty else { return }
      let (leaked, closed) = try await vault.leakedTokens(
        of: name, upTo: leak.newest, in: Array(records), now: WallClock.now())
      for record in closed {
        try await reportClosed(of: name)
        if record == tokens.record(of: credential.id) { tokens.forget(credential.id) }
      }
      for token in leaked {
        let isOver = try await end(token, of: name, report)
        if isOver, token.record == tokens.record(of: credential.id) { tokens.forget(credential.id) }
      }
    } catch { Diagnostics.standard.warning("\(name): whether a token was kept for what leaked is not known: \(error)") }
  }

  /// Reports a kept token that nobody can open because the credential's key was renewed since. Anyone who knew the old
  /// key may have it.
  private func reportClosed(of name: String) async throws {
    try await vault.change(now: WallClock.now()) { change in
      _ = try change.log(.tokenNotRevoked, about: name, ["reason": "key-renewed"])
    }
    Diagnostics.standard.warning(
      "\(name): a token was kept before its key was renewed and cannot be opened, so it was not ended: it may be valid until its end"
    )
  }

  /// Ends one token at its provider, and returns whether it is over.
  private func end(_ leaked: LeakedToken, of name: String, _ report: Report) async throws -> Bool {
    guard leaked.end > WallClock.now() else { return true }
    let version = JSONValue.integer(Int(clamping: leaked.version))
    do {
      guard let kind = try providerKind(leaked.credential.provider) as? any TokenRevoker.Type else {
        throw ProviderError(.configuration, "provider \(leaked.credential.provider) ends no tokens")
      }
      try await kind.revoke(leaked.token, settings: leaked.credential.settings, over: transport)
      try await vault.change(now: WallClock.now()) {
        _ = try $0.log(.tokenRevoked, about: name, ["version": version])
      }
      report.note("\(name): the token kept for version \(leaked.version) is ended at the provider")
      return true
    } catch let error as ProviderError {
      try await vault.change(now: WallClock.now()) { change in
        _ = try change.log(
          .tokenNotRevoked, about: name,
          ["detail": .string(error.description), "reason": .string(error.code.rawValue), "version": version])
      }
      Diagnostics.standard.warning(
        "\(name): the token kept for version \(leaked.version) is not ended, and may be valid until \(leaked.end):"
          + " \(error)")
      return false
    }
  }
}
