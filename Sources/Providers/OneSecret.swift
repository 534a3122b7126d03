import Audit
import Rotation
import Sodium
import Vault

/// What a system that shows a client's current secret, and lets another be made in its place, shows of one credential. The
/// old secret ends as the new one is made, or goes on as the replaced one for a time of the server's.
struct OneSecret: Sendable {
  let consumer: String
  /// The one that is current there.
  let current: SharedSecret
  /// The one before it, where that is still accepted, how it is named to be deleted, and when it ends.
  var replaced: (secret: SharedSecret, handle: String, expires: Timestamp?)?
  /// When the current one ends by itself.
  var expires: Timestamp?
  var registrationToken: SharedSecret?

  /// As the engine wants to see it (`Replacement.cutOver`): the vault's active pair counts as the primary one until another is
  /// promoted in the vault, if the current secret is the staged one, or was asked for and is not saved yet.
  func observation(_ known: KnownPairs) throws(ProviderError) -> Observation {
    guard let any = known.newest(in: .active) ?? known.all.last else {
      throw ProviderError(.configuration, "there is no pair to look at the provider with")
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
    // While it counts as the primary one it is not told twice.
    if let replaced, primary.clientSecret.map({ $0.secret.isEqual(to: replaced.secret.secret) }) != true {
      others.append(try observed(.replaced, replaced.secret, handle: replaced.handle, expires: replaced.expires))
    }
    return Observation(consumer: consumer, primary: primary, others: others)
  }

  /// What was made in the place of `old`.
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
