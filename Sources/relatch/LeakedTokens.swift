import Audit
import JSON
import Providers
import Rotation
import Sodium
import Vault

// A token that was kept of a pair that leaked is the one that this vault knows of: where its provider can end it, it is ended
// once the pair is replaced. Nothing that is met there is a failure of the revocation; it is told and logged.
extension RotationComposition {
  /// Up to which version a credential's pairs leaked; nil if none is known to have, or no token is kept of it.
  func leakedVersion(of name: String, for goal: RotationRunner.Goal) async -> UInt64? {
    guard let tokens else { return nil }
    let credential = try? await vault.read { try $0.hasCredential(name) ? $0.credential(name) : nil }
    guard let credential, tokens.hasRecord(of: credential.id) else { return nil }
    guard case .revoke(let revocation) = goal else { return credential.leak?.version }
    return revocation.version ?? credential.leak?.version ?? credential.version(in: .active)?.number
  }

  /// Ends the kept token of a version up to `newest`, if that was replaced.
  func endKeptToken(of name: String, upTo newest: UInt64, _ report: Report) async {
    do {
      let active = try await vault.read { try $0.credential(name).version(in: .active)?.number }
      guard let tokens, let active, active > newest else { return }
      let accesses = try await vault.leakedTokenAccesses(of: name, upTo: newest, now: WallClock.now())
      guard let access = accesses.first(where: { tokens.token(of: $0) != nil }),
        let (token, end) = tokens.token(of: access)
      else { return }
      guard end > WallClock.now() else { return tokens.forget(access.credential.id) }
      let version = JSONValue.integer(Int(clamping: access.version))
      do {
        guard let kind = try providerKind(access.credential.provider) as? any TokenRevoker.Type else {
          throw ProviderError(.configuration, "provider \(access.credential.provider) ends no tokens")
        }
        try await kind.revoke(token, settings: access.credential.settings, over: transport)
        try await vault.change(now: WallClock.now()) {
          _ = try $0.log(.tokenRevoked, about: name, ["version": version])
        }
        tokens.forget(access.credential.id)
        report.note("\(name): the token that was kept of version \(access.version) is ended at the provider")
      } catch let error as ProviderError {
        try await vault.change(now: WallClock.now()) { change in
          _ = try change.log(
            .tokenNotRevoked, about: name,
            ["detail": .string(error.description), "reason": .string(error.code.rawValue), "version": version])
        }
        Diagnostics.standard.warning(
          "\(name): the token that was kept of version \(access.version) is not ended, and may be good until \(end): \(error)"
        )
      }
    } catch { Diagnostics.standard.warning("\(name): whether a token was kept of what leaked is not known: \(error)") }
  }
}

extension KeptTokens {
  /// The token that is kept of the version that `access` opens, and when it ends at the latest.
  func token(of access: TokenAccess) -> (token: SharedSecret, end: Timestamp)? {
    record(of: access).flatMap(access.open)
  }
}
