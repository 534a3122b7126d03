import Audit
import JSON
import OAuth
package import Rotation
import Sodium
package import Transport
package import Vault

/// Salesforce External Client Apps. A staged set has its own key and secret and is granted tokens before it is made
/// primary. The replaced set stays in the only staging slot, and is accepted, until it is deleted or 30 days are over.
///
/// Pages: Connect REST API guide, "OAuth Credentials Resources" (connect_resources_oauth_credentials_resources.htm), and
/// Salesforce help, "Stage OAuth Credentials" (xcloud.eca_stage_oauth_credentials.htm).
package struct SalesforceProvider: SalesforceGranter, PrimaryReader {
  package static let descriptor = SalesforceSettings.descriptor
  static let tokenPath = "/services/oauth2/token"

  private let settings: SalesforceSettings
  private let app: String
  let admin: AdminAccess
  let transport: any HTTPTransport
  private let client: SalesforceClient

  package static var clientSettings: [String] { ["app", "consumer"] }

  package static func pairPlace(_ settings: [String: String]) -> PairPlace {
    SalesforceSettings.pairPlace(settings, of: Self.self)
  }

  package static func check(_ settings: [String: String]) throws(ProviderError) { _ = try SalesforceSettings(settings) }

  package static func domain(of settings: [String: String]) throws(ProviderError) -> Endpoint {
    try SalesforceSettings(settings).domain
  }

  package init(
    settings: [String: String], admin: AdminAccess, transport: any HTTPTransport
  ) throws(ProviderError) {
    self.settings = try SalesforceSettings(settings)
    app = try Self.descriptor.needed("app", self.settings.app)
    self.admin = admin
    self.transport = transport
    client = SalesforceClient(
      self.settings, adminDomain: try SalesforceSettings.domain(of: admin.settings), admin: admin,
      transport: transport)
  }

  var domain: Endpoint { settings.domain }

  // MARK: - Observation

  package func observe(known: KnownPairs) async throws(ProviderError) -> Observation {
    await client.consider(known.pairs)
    let consumer = try await findConsumer(known.pairs, isAdopting: known.isAdopting)
    // For a consumer without staged sets the org answers with an empty list or with 404, depending on the reading.
    let staged: [WireCredentials]
    do {
      let answer = try await client.call(.get, "\(app)/\(consumer.id)/staged")
      staged = try list("stagedcredentials", answer)
    } catch  where error.code == .notFound {
      staged = []
    }
    var others: [ObservedPair] = []
    for set in staged {
      if let pair = try await observed(set, of: consumer.id) { others.append(pair) }
    }
    return Observation(
      consumer: consumer.id,
      primary: ObservedPair(
        place: .primary, handle: "", clientID: consumer.key, clientSecret: nil, expires: nil),
      others: others)
  }

  private struct Consumer {
    let id: String
    let key: SharedSecret
  }

  /// The consumer that the settings name, otherwise the one whose primary or staged key is one of ours. If `isAdopting`,
  /// a person says that the pair there is ours, and the app's only consumer is the one.
  private func findConsumer(_ known: [Pair], isAdopting: Bool) async throws(ProviderError) -> Consumer {
    var consumers: [Consumer] = []
    let all = try list("consumers", try await client.call(.get, app))
    for set in all {
      guard let id = set.id, let path = Self.pathPart(id) else { continue }
      if let key = set.key {
        consumers.append(Consumer(id: path, key: key))
      } else if let key = try await primaryKey(of: path) {
        consumers.append(Consumer(id: path, key: key))
      }
    }
    // Every app has a consumer, so an answer without one is not about an app.
    guard !consumers.isEmpty else {
      throw ProviderError(.malformed, "the answer shows no consumer of app \(app)")
    }
    if let wanted = settings.consumer, let found = consumers.first(where: { SalesforceSettings.isSame($0.id, wanted) })
    {
      return found
    }
    func isOurs(_ key: SharedSecret) -> Bool { known.contains { key.secret.isEqual(to: $0.clientID) } }
    if let found = consumers.first(where: { isOurs($0.key) }) { return found }
    // Our pair may be the replaced one by now: rotated by somebody else, or by a run whose records were lost.
    for consumer in consumers {
      do {
        let sets = try list("stagedcredentials", try await client.call(.get, "\(app)/\(consumer.id)/staged"))
        if sets.contains(where: { $0.key.map(isOurs) ?? false }) { return consumer }
      } catch  where error.code == .notFound {
        continue
      }
    }
    if all.count == 1, let only = consumers.first {
      // Whoever has named another does not mean this one.
      guard settings.consumer == nil else {
        throw ProviderError(
          .configuration, "app \(app) does not have the consumer that the settings name: its only one is \(only.id)",
          hint: "`relatch settings NAME consumer=\(only.id)`, if that is the one", step: .app)
      }
      guard !isAdopting else { return only }
      throw ProviderError(
        .configuration, "\(only.id), the only consumer of app \(app), does not have this credential's pair",
        hint: "if that is its app (`relatch show NAME`), somebody rotated it elsewhere: `relatch adopt NAME` takes over"
          + " the pair that is primary there, `relatch adopt NAME --stdin` one that is given to it", step: .app)
    }
    throw ProviderError(
      .configuration,
      "none of the \(consumers.count) consumers of app \(app) has this credential's pair:"
        + " \(consumers.map(\.id).joined(separator: ", "))",
      hint: "if that is its app (`relatch show NAME`), somebody rotated it elsewhere: `relatch settings NAME"
        + " consumer=888…` says which is its consumer, then `relatch adopt NAME` takes over the pair that is primary"
        + " there; or `relatch adopt NAME --stdin` takes over one that is given to it", step: .app)
  }

  private func primaryKey(of consumer: String) async throws(ProviderError) -> SharedSecret? {
    try read(try await client.call(.get, "\(app)/\(consumer)?part=key"), mayHaveActed: false).first?.key
  }

  /// One set in the slot. What the list leaves out is read by the set's identifier.
  private func observed(_ set: WireCredentials, of consumer: String) async throws(ProviderError) -> ObservedPair? {
    guard let id = set.id, let handle = Self.pathPart(id) else {
      throw ProviderError(.malformed, "a staged set has no identifier")
    }
    let place = try Self.place(set.state)
    var whole = set
    if set.key == nil || (set.secret == nil && place == .staged) {
      do {
        whole =
          try read(try await client.call(.get, "\(app)/\(consumer)/staged/\(handle)"), mayHaveActed: false).first ?? set
      } catch  where error.code == .notFound {
        return nil
      }
    }
    guard let key = whole.key else {
      throw ProviderError(
        .configuration, "the org does not show the key of staged set \(handle)",
        hint: "Setup, External Client App Settings: allow access to External Client App consumer secrets via REST API",
        step: .restSwitch)
    }
    return ObservedPair(
      place: place, handle: handle, clientID: key, clientSecret: whole.secret, expires: whole.expires ?? set.expires,
      made: whole.made ?? set.made, maker: whole.maker ?? set.maker)
  }

  private static func place(_ state: String?) throws(ProviderError) -> ObservedPair.Place {
    switch state {
    case "active": .staged
    case "rotated": .replaced
    case "expired": .expired
    default: throw ProviderError(.malformed, "a staged set is in an unknown state, expected active, rotated or expired")
    }
  }

  // MARK: - Acts

  package func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    // An empty object, not an empty body: without a length, some servers wait for a body until the connection dies.
    let answer = try await client.call(.post, "\(app)/\(observation.consumer)/staged", json: "{}")
    // The answer may be a list, one object, or an object around it. The new set is neither primary nor known.
    let sets = try read(answer, mayHaveActed: true)
    let fresh = sets.filter { set in
      set.key.map { key in
        !key.secret.isEqual(to: observation.primary.clientID.secret)
          && !observation.others.contains { $0.clientID.secret.isEqual(to: key.secret) }
      } ?? true
    }
    guard let set = fresh.first(where: { $0.state == nil || $0.state == "active" }), let id = set.id,
      let handle = Self.pathPart(id), let whole = await whole(set, handle, of: observation.consumer),
      let key = whole.key, let secret = whole.secret
    else {
      // The org has acted. What it made is read from the slot, as after any lost answer.
      throw ProviderError(
        .malformed, "the answer to staging shows no new pair", mayHaveActed: true, status: answer.status)
    }
    return ObservedPair(place: .staged, handle: handle, clientID: key, clientSecret: secret, expires: set.expires)
  }

  /// The set that was staged, read by its identifier if the answer lacks a part of it; nil if it cannot be read. While a
  /// leak is noted, a run that saw only the slot could not tell the set from a stranger's.
  private func whole(_ set: WireCredentials, _ handle: String, of consumer: String) async -> WireCredentials? {
    guard set.key == nil || set.secret == nil else { return set }
    let answer = try? await client.call(.get, "\(app)/\(consumer)/staged/\(handle)")
    return answer.flatMap { try? read($0, mayHaveActed: false).first }
  }

  package func promote(handle: String, _ observation: Observation) async throws(ProviderError) {
    let answer = try await client.call(
      .patch, "\(app)/\(observation.consumer)/staged/\(handle)", json: #"{"command":"rotate"}"#)
    if !answer.isEmpty { _ = try answer.json(mayHaveActed: true) }
  }

  package func delete(handle: String, _ observation: Observation) async throws(ProviderError) {
    let answer = try await client.call(.delete, "\(app)/\(observation.consumer)/staged/\(handle)")
    if !answer.isEmpty { _ = try answer.json(mayHaveActed: true) }
  }

  package func readPrimary(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    let answer = try await client.call(.get, "\(app)/\(observation.consumer)?part=keyandsecret")
    guard let set = try read(answer, mayHaveActed: false).first, let key = set.key else {
      throw ProviderError(.malformed, "the answer shows no key of consumer \(observation.consumer)")
    }
    return ObservedPair(place: .primary, handle: "", clientID: key, clientSecret: set.secret, expires: nil)
  }

  package func administer(with pair: Pair) async { await client.prefer(pair) }

  // MARK: - Reading

  private func list(_ name: String, _ answer: ManagementCall.Answer) throws(ProviderError) -> [WireCredentials] {
    let root = try answer.json(mayHaveActed: false)
    do {
      return try WireCredentials.list(name, in: root, answer.body)
    } catch {
      throw ProviderError(.malformed, "the answer is not a list of credentials", status: answer.status)
    }
  }

  private func read(
    _ answer: ManagementCall.Answer, mayHaveActed: Bool
  ) throws(ProviderError) -> [WireCredentials] {
    let root = try answer.json(mayHaveActed: mayHaveActed)
    switch root {
    case .array, .object: break
    case .null, .bool, .number, .string:
      throw ProviderError(
        .malformed, "the answer is neither an object nor a list", mayHaveActed: mayHaveActed, status: answer.status)
    }
    do {
      return try WireCredentials.all(in: root, answer.body)
    } catch {
      throw ProviderError(
        .malformed, "the answer's credentials cannot be read", mayHaveActed: mayHaveActed, status: answer.status)
    }
  }

  /// An identifier from an answer, for use in a path; nil if it is not fit for one.
  private static func pathPart(_ id: String) -> String? {
    let isPlain = id.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) }
    return isPlain && (1...64).contains(id.utf8.count) ? id : nil
  }
}
