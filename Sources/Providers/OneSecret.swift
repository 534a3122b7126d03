import Audit
import Rotation
import Sodium
import Vault

/// What a system shows of one credential if it shows a client's current secret and replaces it by a new one. The old
/// secret ends when the new one is made, or continues as the replaced one for a time that the server sets.
struct OneSecret: Sendable {
  let consumer: String
  /// The secret that is current there.
  let current: SharedSecret
  /// The secret before it, if that is still accepted; the handle to delete it by; and when it ends.
  var replaced: (secret: SharedSecret, handle: String, expires: Timestamp?)?
  /// When the current secret expires.
  var expires: Timestamp?
  var registrationToken: SharedSecret?

  /// The observation that the engine expects with `Replacement.cutOver`. If the current secret is the staged one, or
  /// was requested but is not saved yet, the vault's active pair counts as the primary one until another is promoted in
  /// the vault.
  func observation(_ known: KnownPairs) throws(ProviderError) -> Observation {
    guard let any = known.newest(in: .active) ?? known.all.last else {
      throw ProviderError(.configuration, "there is no pair to ask the provider with")
    }
    func observed(
      _ place: ObservedPair.Place, _ secret: SharedSecret, handle: String = "", expires: Timestamp? = nil
    ) throws(ProviderError) -> ObservedPair {
      ObservedPair(
        place: place, handle: handle, clientID: try SharedSecret(copying: any.pair.clientID), clientSecret: secret,
        expires: expires, registrationToken: registrationToken, sharesClientID: true)
    }
    var others: [ObservedPair] = []
    let found = known.all.last { $0.pair.clientSecret.isEqual(to: current.secret) }
    var primary = try observed(.primary, current, expires: expires)
    if let active = known.newest(in: .active), found?.stage == .staged || found == nil && known.isStaging {
      primary = try observed(.primary, SharedSecret(copying: active.pair.clientSecret))
      others.append(try observed(.staged, current, expires: expires))
    }
    // While the replaced secret counts as the primary one it is not listed twice.
    if let replaced, primary.clientSecret.map({ $0.secret.isEqual(to: replaced.secret.secret) }) != true {
      others.append(try observed(.replaced, replaced.secret, handle: replaced.handle, expires: replaced.expires))
    }
    return Observation(consumer: consumer, primary: primary, others: others)
  }

  /// The pair that was made to replace `old`.
  static func made(_ secret: SharedSecret, inPlaceOf old: ObservedPair) -> ObservedPair {
    ObservedPair(
      place: .staged, handle: "", clientID: old.clientID, clientSecret: secret, expires: nil, sharesClientID: true)
  }
}

extension SharedSecret {
  /// A copy of a part of a pair.
  convenience init(copying part: borrowing SecretBytes) throws(ProviderError) {
    let copy: SecretBytes
    do { copy = try part.clone() } catch { throw ProviderError(.malformed, "there is no memory for a pair") }
    self.init(copy)
  }
}
