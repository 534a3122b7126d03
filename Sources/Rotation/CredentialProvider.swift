package import Audit
package import Sodium
package import Vault

/// A kind of system that issues pairs, as far as the engine needs to know it. One value serves one run of one credential.
///
/// Every method that changes the provider names what it acts on, so that a call sent by a run that lost its lease does
/// nothing twice. None retries: the engine decides that.
package protocol CredentialProvider: Sendable {
  /// What becomes of the old pair when there is a new one.
  var replacement: Replacement { get }

  /// Whether what this credential's requests made is marked where it is shown, so that what is not is a stranger's.
  var marksItsOwn: Bool { get }

  /// Whether `observe` shows pairs that the vault does not know. Where it cannot, nobody sees that a restored vault is older
  /// than the provider.
  var showsStrangers: Bool { get }

  /// What it has of this credential now. `known` are the pairs the vault has, which say which consumer is ours. Fails with
  /// `configuration` where a lost answer could not be cleared up by looking: before anything is asked for.
  func observe(known: KnownPairs) async throws(ProviderError) -> Observation

  /// Makes a new pair beside the primary one. `observation` is one made by the same run before.
  func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair

  /// Makes the staged pair `handle` primary. Asks nobody unless `replacement` is `promotion`.
  func promote(handle: String, _ observation: Observation) async throws(ProviderError)

  /// Ends the pair `handle`, which the caller has just seen in `observation` and recognised by its client identifier.
  func delete(handle: String, _ observation: Observation) async throws(ProviderError)

  /// Asks for a fresh token with `pair`, and drops it.
  func grant(_ pair: Pair) async throws(ProviderError) -> GrantEvidence

  /// Asks for a fresh token with `pair`, and makes the checks that a new pair must pass before it is promoted, and an active
  /// one before a rotation is planned. `refused` is thrown of the pair alone; what else a check misses is another code.
  func validate(_ pair: Pair) async throws(ProviderError) -> GrantEvidence

  /// Drives what follows with `pair`, which was proved: the credential administers itself and is about to change hands.
  /// If the pair cannot administer, the next call says so, while the old one is still primary. Asks nobody by itself.
  func administer(with pair: Pair) async
}

extension CredentialProvider {
  package var replacement: Replacement { .promotion }

  package var showsStrangers: Bool { true }
  package var marksItsOwn: Bool { false }

  package func validate(_ pair: Pair) async throws(ProviderError) -> GrantEvidence { try await grant(pair) }
}

/// What becomes of the old pair when there is a new one. What can be undone follows from it, and who says which pair is the
/// primary one.
package enum Replacement: String, Sendable {
  /// A new pair is staged beside the primary one, and made primary by a request of its own.
  case promotion
  /// Both are accepted alike until one is deleted. The provider calls none of them primary: the vault's active one is.
  case overlap
  /// Making the new one ends the old one at once. The vault's active one is called primary until the new one is promoted
  /// here, though it is dead: what was made cannot be given up any more.
  case cutOver = "cut-over"

  /// What is told before a rotation of that kind.
  package static let cutOverWarning =
    "the old pair ends the moment the new one is made: whoever uses it is refused until the new one has arrived"
}

/// The pairs of one credential that the vault has and that its provider may accept.
package struct KnownPairs: Sendable {
  package struct Known: Sendable {
    package let pair: Pair
    package let stage: Stage
    /// What the provider calls it, if it said so when it made it.
    package let handle: String?

    package init(_ pair: Pair, in stage: Stage, handle: String? = nil) {
      self.pair = pair
      self.stage = stage
      self.handle = handle
    }
  }

  /// In the order in which they were made.
  package private(set) var all: [Known]
  /// Whether a new pair was asked for and no outcome is known: one that the vault does not have may be it.
  package let isStaging: Bool
  /// Whether the staged one was asked to become primary and no outcome is known.
  package let isPromoting: Bool
  /// A name that is this credential's of this vault alone, for what is made at the provider on its behalf. Not secret.
  package let mark: String
  /// The same for this rotation alone: begins with `mark` and a hyphen. What is asked for under it twice is one thing.
  package let attempt: String

  package init(
    _ all: [Known], isStaging: Bool = false, isPromoting: Bool = false, mark: String, attempt: String = "0"
  ) {
    self.all = all
    self.isStaging = isStaging
    self.isPromoting = isPromoting
    self.mark = mark
    self.attempt = "\(mark)-\(attempt)"
  }

  package var pairs: [Pair] { all.map(\.pair) }

  /// The same, of the same credential, with one more that the vault does not have.
  func adding(_ known: Known) -> KnownPairs {
    var more = self
    more.all.append(known)
    return more
  }

  /// The newest pair in `stage`; nil if there is none.
  package func newest(in stage: Stage) -> Known? { all.last { $0.stage == stage } }
}

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
  /// Whether it has the credential's own mark: nobody else made it. If its secret is not shown, nobody can ever use it.
  package let isMarked: Bool

  package init(
    place: Place, handle: String, clientID: SharedSecret, clientSecret: SharedSecret?, expires: Timestamp?,
    registrationToken: SharedSecret? = nil, sharesClientID: Bool = false, isMarked: Bool = false
  ) {
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

/// What a token grant showed, for the log. Nothing in it is secret.
package struct GrantEvidence: Hashable, Sendable {
  /// Whether the provider's signature over its answer checks under the pair's secret.
  package enum Signature: String, Sendable {
    case valid, mismatch, absent
  }

  package let status: Int
  package let signature: Signature
  /// The provider's time as it answered, if it told.
  package let providerTime: Timestamp?
  /// HTTP status of the read that was tried with the token, if one was.
  package let probe: Int?
  /// What a person should look at, though it stops nothing.
  package let remarks: [String]

  package init(
    status: Int, signature: Signature, providerTime: Timestamp? = nil, probe: Int? = nil, remarks: [String] = []
  ) {
    self.status = status
    self.signature = signature
    self.providerTime = providerTime
    self.probe = probe
    self.remarks = remarks
  }
}
