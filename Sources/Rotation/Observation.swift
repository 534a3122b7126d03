package import Audit
import JSON
package import Sodium
package import Vault

/// What a provider has of one credential at one moment.
package struct Observation: Sendable {
  /// What the provider calls the unit our pairs belong to. Not secret.
  package let consumer: String
  /// Where the provider calls none primary (`Replacement`): the vault's active pair if it is there, else the newest one.
  package let primary: ObservedPair
  /// Pairs beside the primary one.
  package let others: [ObservedPair]

  package init(consumer: String, primary: ObservedPair, others: [ObservedPair]) {
    self.consumer = consumer
    self.primary = primary
    self.others = others
  }
}

/// One pair as the provider shows it.
package struct ObservedPair: Sendable {
  /// Its place at the provider.
  package enum Place: String, Sendable {
    case primary
    /// Made, not yet primary.
    case staged
    /// Was primary, and still is accepted.
    case replaced
    /// Ended by the provider.
    case expired
  }

  package let place: Place
  /// What the provider calls it; empty for the primary pair where it has no name. Not secret.
  package let handle: String
  package let clientID: SharedSecret
  /// Nil where the provider does not show it.
  package let clientSecret: SharedSecret?
  /// When the provider will end it by itself.
  package let expires: Timestamp?
  /// What manages this pair alone, where the provider gives such a thing out with it (RFC 7592 §3).
  package let registrationToken: SharedSecret?
  /// Whether several pairs have this client identifier, so that the secret tells them apart.
  package let sharesClientID: Bool
  /// When it was made and by whom, where the provider shows that. Not secret.
  package let made: Timestamp?
  package let maker: String?
  /// Whether it has the credential's own mark: nobody else made it. If its secret is not shown, nobody can ever use it.
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

  /// Whether it was made for this credential by a request whose answer was lost, and nobody has its secret.
  var isLitter: Bool { isMarked && clientSecret == nil }

  /// Whether this is the provider's view of `pair`.
  package func matches(_ pair: Pair) -> Bool {
    guard clientID.secret.isEqual(to: pair.clientID) else { return false }
    return !sharesClientID || clientSecret?.secret.isEqual(to: pair.clientSecret) == true
  }
}

extension ObservedPair {
  /// As the log tells of it where the vault does not have it: what it is called, where it stands, when and by whom it was made.
  var traces: [String: JSONValue] {
    var members: [String: JSONValue] = ["handle": .string(handle), "place": .string(place.rawValue)]
    if let expires { members["expires"] = .string(expires.description) }
    if let made { members["made"] = .string(made.description) }
    if let maker { members["made_by"] = .string(maker) }
    return members
  }
}
