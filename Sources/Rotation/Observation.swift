package import Audit
import JSON
package import Sodium
package import Vault

/// What a provider has of one credential at one moment.
package struct Observation: Sendable {
  /// The provider's name for the unit that our pairs belong to. Not secret.
  package let consumer: String
  /// The primary pair. If the provider calls none primary (`Replacement`), it is the vault's active pair if that is
  /// there, and otherwise the newest one.
  package let primary: ObservedPair
  /// Pairs beside the primary one.
  package let others: [ObservedPair]
  /// The provider's time when it answered; nil unless the provider needs it to make a pair.
  package let time: Timestamp?

  package init(consumer: String, primary: ObservedPair, others: [ObservedPair], time: Timestamp? = nil) {
    self.consumer = consumer
    self.primary = primary
    self.others = others
    self.time = time
  }
}

/// One pair as the provider shows it.
package struct ObservedPair: Sendable {
  /// Its place at the provider.
  package enum Place: String, Sendable {
    case primary
    /// Made, not yet primary.
    case staged
    /// Was primary, and is still accepted.
    case replaced
    /// Ended by the provider.
    case expired
  }

  package let place: Place
  /// What the provider calls it; empty for a primary pair that has no name. Not secret.
  package let handle: String
  package let clientID: SharedSecret
  /// Nil where the provider does not show it.
  package let clientSecret: SharedSecret?
  /// When the provider will end it automatically.
  package let expires: Timestamp?
  /// The token that manages only this pair, if the provider issues one with it (RFC 7592 §3).
  package let registrationToken: SharedSecret?
  /// Whether several pairs have this client identifier, so that only the secret tells them apart.
  package let sharesClientID: Bool
  /// When it was made and by whom, if the provider shows that. Not secret.
  package let made: Timestamp?
  package let maker: String?
  /// Whether it has the credential's own mark, which means that nobody else made it. If its secret is not shown, nobody
  /// can ever use it.
  package let isMarked: Bool

  package init(
    place: Place, handle: String, clientID: SharedSecret, clientSecret: SharedSecret?, expires: Timestamp?,
    registrationToken: SharedSecret? = nil, sharesClientID: Bool = false, isMarked: Bool = false,
    made: Timestamp? = nil, maker: String? = nil
  ) {
    self.made = made
    self.maker = maker
    self.isMarked = isMarked
    self.registrationToken = registrationToken
    self.sharesClientID = sharesClientID
    self.place = place
    self.handle = handle
    self.clientID = clientID
    self.clientSecret = clientSecret
    self.expires = expires
  }

  /// Whether it was made for this credential by a request whose answer was lost, so that nobody has its secret.
  var isOrphaned: Bool { isMarked && clientSecret == nil }

  /// Whether this is the provider's view of `pair`.
  package func matches(_ pair: Pair) -> Bool {
    guard clientID.secret.isEqual(to: pair.clientID) else { return false }
    return !sharesClientID || clientSecret?.secret.isEqual(to: pair.clientSecret) == true
  }
}

extension ObservedPair {
  /// What the log says about a pair that the vault does not have: its name and place, and when and by whom it was made.
  var traces: [String: JSONValue] {
    var members: [String: JSONValue] = ["handle": .string(handle), "place": .string(place.rawValue)]
    if let expires { members["expires"] = .string(expires.description) }
    if let made { members["made"] = .string(made.description) }
    if let maker { members["made_by"] = .string(maker) }
    return members
  }
}
