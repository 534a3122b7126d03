import JSON
import OAuth
package import Rotation
import Sodium
import Synchronization
package import Transport
package import Vault

/// Dynamically registered clients of any server that lets them be managed: RFC 7591 and RFC 7592.
///
/// With overlap, a second client is registered with the first one's metadata, and the first is deleted later. With
/// cut-over, the server makes another secret in answer to a PUT. Each client is managed by its own token, which is
/// sealed with its pair.
package struct OAuthRegistrationProvider: ProviderKind, PrimaryReader, TokenIssuer, AdministratorGranter {
  package static let descriptor = OAuthRegistrationSettings.descriptor

  let settings: OAuthRegistrationSettings
  let registration: Endpoint
  let admin: AdminAccess
  let transport: any HTTPTransport
  let http: ManagementCall
  private let found = Found()

  package var replacement: Replacement { settings.replacement }
  /// Each pair is a client of its own, and a run sees only those it knows.
  package static var clientSettings: [String] { [] }
  package static var sharesPlaces: Bool { false }
  /// Not with overlap: there is no list of clients.
  package var showsUnknownPairs: Bool { replacement == .cutOver }

  /// What the vault keeps, instead of a server's handle, for a pair that came with another token than the pair before
  /// it.
  static let tokenChanged = "another-token"

  /// What this run has seen.
  private final class Found: Sendable {
    let changesToken = Mutex(false)
    /// The identifiers of clients whose deletion was answered.
    let deleted = Mutex<[SharedSecret]>([])
    /// The purpose of the last observation, and the staged pair if it showed another secret for that pair than the
    /// vault has.
    let look = Mutex<(hasLeak: Bool, isContaining: Bool, changed: Pair?)>((false, false, nil))
  }

  package static func check(_ settings: [String: String]) throws(ProviderError) {
    try OAuthRegistrationSettings(settings).requireRecoverable()
  }

  package static func replacement(by settings: [String: String]) -> Replacement? {
    (try? OAuthRegistrationSettings(settings))?.replacement
  }

  package init(
    settings: [String: String], admin: AdminAccess, transport: any HTTPTransport
  ) throws(ProviderError) {
    self.settings = try OAuthRegistrationSettings(settings)
    let registration = try Self.descriptor.needed("registration-url", self.settings.registration)
    if !admin.isSelf {
      let key = admin.settings["registration-url"] == nil ? "token-url" : "registration-url"
      try registration.requireSameServer(as: Endpoint(setting: key, of: admin.settings), admin.name)
    }
    self.registration = registration
    self.admin = admin
    self.transport = transport
    http = ManagementCall(transport: transport)
  }

  // MARK: - Observation

  package func observe(known: KnownPairs) async throws(ProviderError) -> Observation {
    switch replacement {
    case .cutOver: try await observeOne(known)
    case .overlap, .promotion: try await observeEach(known)
    }
  }

  /// Cut-over: reads the one client and its secret.
  private func observeOne(_ known: KnownPairs) async throws(ProviderError) -> Observation {
    // All pairs have the same identifier and token, unless a PUT gave out another token.
    guard let latest = known.newest(in: .staged) ?? known.newest(in: .active) ?? known.all.last else {
      throw ProviderError(.configuration, "there is no pair to ask the server with")
    }
    let changesToken = known.all.contains { $0.handle == Self.tokenChanged }
    found.changesToken.withLock { $0 = changesToken }
    try requireReplaced(known)
    guard case .shown(let client, let token) = try await read(latest.pair) else {
      throw ProviderError(
        .notPermitted, "\(registration.host) does not show the client's registration",
        hint: "check the client there: it was deleted, or its registration_access_token has ended: then let the server"
          + " \(Self.anotherToken)")
    }
    // If the answer to a PUT were lost, nobody could read the new secret. So none is sent.
    guard let secret = client.clientSecret else {
      throw ProviderError(
        .configuration,
        "\(registration.host) does not show a client's secret when its registration is read: a new"
          + " secret ends the old one, and would be lost if its answer were lost",
        hint: "once nothing is owed, use `relatch settings NAME mode=overlap`: a second client is registered,"
          + " and the old one stays accepted until then")
    }
    return try OneSecret(
      consumer: registration.host, current: secret, expires: client.expires, registrationToken: token
    ).observation(known)
  }

  /// Fails if a PUT changed only the token that manages the client. The token was staged so that it is not lost, but
  /// the pair is not a new one.
  private func requireReplaced(_ known: KnownPairs) throws(ProviderError) {
    guard let staged = known.newest(in: .staged), staged.handle == Self.tokenChanged,
      let active = known.newest(in: .active), staged.pair.clientSecret.isEqual(to: active.pair.clientSecret)
    else { return }
    throw ProviderError(
      .configuration,
      "\(registration.host) does not replace a client's secret on PUT, but has given out another"
        + " registration_access_token: the pair is not replaced, and that token is kept with the staged"
        + " version",
      hint: "add the client again under another name with mode=overlap: read the token from the vault as"
        + " vault/sealed-record.md says, or have the server's administrator give out another")
  }

  /// Overlap: reads each client that the vault knows. There is no list of those that it does not know.
  private func observeEach(_ known: KnownPairs) async throws(ProviderError) -> Observation {
    var primary: ObservedPair?
    var others: [ObservedPair] = []
    var isManaged = true
    let active = known.newest(in: .active)?.pair
    found.look.withLock { $0 = (known.hasLeak, known.isContaining, nil) }
    for (index, one) in known.all.enumerated() {
      // An old secret of the active client is not another client: deleting it as one would delete the active pair.
      let isActiveClient = active.map { one.pair.clientID.isEqual(to: $0.clientID) } ?? false
      if isActiveClient, one.stage != .active, one.stage != .staged { continue }
      guard one.pair.registrationToken != nil else {
        guard one.stage != .active else {
          throw ProviderError(
            .configuration, "the active pair has no registration_access_token: it could never be deleted there",
            hint:
              #"add it again with three members: {"client_id":"…","client_secret":"…","registration_access_token":"…"}"#
          )
        }
        // What was registered here has its token: this one was given by a person.
        guard one.stage != .staged else {
          throw ProviderError(
            .configuration, "the pair given has no registration_access_token: its client could not be managed",
            hint:
              #"give it with three members: {"client_id":"…","client_secret":"…","registration_access_token":"…"}"#
          )
        }
        continue
      }
      let isActive = one.stage == .active
      let place: ObservedPair.Place = isActive ? .primary : one.stage == .staged ? .staged : .replaced
      var client: RegisteredClient?
      switch try await read(one.pair) {
      case .shown(let shown, _): client = shown
      case .withheld(let status):
        guard try await isThere(one.pair, status) else { continue }
        if isActive { isManaged = false }
      case .gone: continue
      }
      var secret = client?.clientSecret
      if one.stage == .staged, let secret, !secret.secret.isEqual(to: one.pair.clientSecret) {
        found.look.withLock { $0.changed = one.pair }
      }
      if secret == nil { secret = try SharedSecret(copying: one.pair.clientSecret) }
      let seen = ObservedPair(
        place: place, handle: isActive ? "" : "\(index + 1)", clientID: try SharedSecret(copying: one.pair.clientID),
        clientSecret: secret, expires: isActive ? nil : client?.expires, registrationToken: one.pair.registrationToken)
      if isActive { primary = seen } else { others.append(seen) }
    }
    let offered = others.lastIndex { $0.place == .staged }
    // If the active client is gone, the staged one counts as primary.
    if primary == nil, let offered { primary = others.remove(at: offered) }
    // An active client that can no longer be deleted is replaced only by a client that already exists.
    guard let primary, isManaged || offered != nil else {
      throw ProviderError(
        .notPermitted, "\(registration.host) does not show the active client's registration",
        hint: "check the client there: it was deleted, or its registration_access_token has ended: then let the server"
          + " \(Self.anotherToken)")
    }
    return Observation(consumer: registration.host, primary: primary, others: others)
  }

  /// The server's answer about a client to the token that manages it.
  private enum Reading {
    case shown(RegisteredClient, SharedSecret)
    /// Refused with this status, 401 or 403: the client may still exist.
    case withheld(Int)
    case gone
  }

  /// Reads a client's registration. By RFC 7592 §2.1 a server answers 401 both for a client that is gone and for a
  /// token that has ended, and 403 for a client that exists.
  ///
  /// Throws `configuration` if reading makes the server give out another token: a lost answer would lose the
  /// registration. With overlap it does not if the vault's token is accepted still: Keycloak signs a token anew at each
  /// look once its keys have changed, and accepts both.
  private func read(_ pair: Pair) async throws(ProviderError) -> Reading {
    guard let token = pair.registrationToken else {
      throw ProviderError(
        .configuration, "the pair has no registration_access_token: its client cannot be managed",
        hint: #"add it again with three members: {"client_id":"…","client_secret":"…","registration_access_token":"…"}"#
      )
    }
    let answer: ManagementCall.Answer
    do { answer = try await http.send(.get, settings.endpoint(of: pair.clientID), token: token) } catch
      where error.code == .notFound
    {
      return .gone
    } catch  where error.code == .notPermitted {
      return .withheld(error.status ?? 401)
    }
    let client = try RegisteredClient(answer, mayHaveActed: false)
    guard client.clientID.map({ $0.secret.isEqual(to: pair.clientID) }) ?? false else {
      throw ProviderError(.malformed, "\(registration.host) shows another client than the one that was asked for")
    }
    var isKept = client.registrationToken.map { $0.secret.isEqual(to: token.secret) } ?? true
    if !isKept, replacement == .overlap { isKept = try await isAccepted(token, pair) }
    guard isKept else {
      throw ProviderError(
        .configuration,
        "\(registration.host) gives out another registration_access_token when a client is read: after one lost"
          + " answer nobody could manage the client any more, and the one in the vault may have ended with this look",
        hint: "let the server keep those tokens and \(Self.anotherToken); or rotate by hand or with"
          + " `--provider command`")
    }
    return .shown(client, token)
  }

  /// Under another name, because a version stays as it was saved.
  private static let anotherToken =
    "give out another for this client, and add the pair under another name with that one"

  /// Whether `token` can still be used to manage the client of `pair`.
  private func isAccepted(_ token: SharedSecret, _ pair: Pair) async throws(ProviderError) -> Bool {
    do { _ = try await http.send(.get, settings.endpoint(of: pair.clientID), token: token) } catch
      where [.unreachable, .limited].contains(error.code)
    {
      throw error
    } catch {
      return false
    }
    return true
  }

  /// Whether the client of `pair`, which is `withheld`, must be assumed to exist: somebody may have had its token
  /// replaced. It is gone if this run deleted it, or if the pair is refused. If both refusals are 403 it is assumed to
  /// exist, because something may be forbidding every request.
  private func isThere(_ pair: Pair, _ withheld: Int) async throws(ProviderError) -> Bool {
    guard !found.deleted.withLock({ deleted in deleted.contains { $0.secret.isEqual(to: pair.clientID) } }) else {
      return false
    }
    do { _ = try await grant(pair) } catch  where [.unreachable, .limited].contains(error.code) {
      throw error
    } catch {
      return error.code != .refused || withheld == 403 && error.status == 403
    }
    return true
  }

  // MARK: - Acts

  /// Fails, before any request, if a lost answer would leave the client unmanageable.
  private func requireRecoverable() throws(ProviderError) {
    try settings.requireRecoverable()
    guard replacement != .cutOver || !found.changesToken.withLock({ $0 }) else {
      throw ProviderError(
        .configuration,
        "\(registration.host) gave out another registration_access_token on an earlier PUT, although"
          + " keeps-token says that it does not: after one lost answer nobody could manage the client any more",
        hint:
          "add the client again with mode=overlap: a second one is registered, and the old one is accepted until then")
    }
  }

  package func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    try requireRecoverable()
    let old = observation.primary
    guard let token = old.registrationToken, let secret = old.clientSecret else {
      throw ProviderError(.configuration, "the active pair has no registration_access_token")
    }
    let pair: Pair
    do {
      pair = try Pair(
        clientID: old.clientID.secret.clone(), clientSecret: secret.secret.clone(), registrationToken: token)
    } catch { throw ProviderError(.malformed, "there is no memory for a pair") }
    guard case .shown(let client, _) = try await read(pair) else {
      throw ProviderError(.notFound, "\(registration.host) does not show the active client's registration any more")
    }
    guard replacement != .cutOver else { return try await replaceSecret(of: pair, client) }
    // A leaked pair is replaced even so: `promote` checks the new client first.
    let isChanged = client.clientSecret.map { !$0.secret.isEqual(to: pair.clientSecret) } ?? false
    guard !isChanged || found.look.withLock(\.hasLeak) else {
      throw ProviderError(
        .configuration,
        "\(registration.host) gives out another secret each time a client is read, which ends the one in use",
        hint: Self.secretHint)
    }
    return try await register(like: client)
  }

  private static let secretHint =
    "let the server keep a client's secret, or rotate by hand or with `--provider command`"

  /// Changes nothing at the server: both clients are accepted equally. Throws `configuration` if the last observation
  /// showed another secret for the new client than the vault has, and the vault's is now refused: reading the client
  /// has ended it, or somebody has. Containment continues even then, to end what leaked.
  package func promote(handle: String, _ observation: Observation) async throws(ProviderError) {
    let look = found.look.withLock { $0 }
    guard let pair = look.changed, !look.isContaining else { return }
    // The other secret may be just asterisks that the server shows instead. So the vault's secret is tried.
    do { _ = try await grant(pair) } catch  where error.code == .refused {
      throw ProviderError(
        .configuration,
        "\(registration.host) shows another secret for the new client than it gave out: it gives out"
          + " another at each reading, or somebody replaced it; the pair is not promoted",
        hint: "give it up with `relatch abort NAME`; if the next one is no better, \(Self.secretHint)")
    }
  }

  package func delete(handle: String, _ observation: Observation) async throws(ProviderError) {
    guard replacement != .cutOver, let seen = observation.others.first(where: { $0.handle == handle }),
      let token = seen.registrationToken
    else { throw ProviderError(.configuration, "there is no second client to delete") }
    guard !seen.clientID.secret.isEqual(to: observation.primary.clientID.secret) else {
      throw ProviderError(
        .configuration, "the \(seen.place.rawValue) pair belongs to the active client, which is not deleted",
        hint: "rotate the credential: its secret ends when the old client is deleted")
    }
    do { _ = try await http.send(.delete, settings.endpoint(of: seen.clientID.secret), token: token) } catch
      where error.code == .notPermitted
    {
      throw ProviderError(
        .notPermitted,
        "\(registration.host) does not let the \(seen.place.rawValue) client be managed any more"
          + (error.status.map { " (HTTP \($0))" } ?? ""),
        hint: "delete that client at the server by hand, and the next run goes on: its"
          + " registration_access_token has ended, or somebody else replaced it", status: error.status,
        step: .permissions)
    }
    found.deleted.withLock { $0.append(seen.clientID) }
  }

  package func grant(_ pair: Pair, overNewConnection: Bool) async throws(ProviderError) -> GrantEvidence {
    try await settings.credentials.grant(pair, over: transport, overNewConnection: overNewConnection)
  }

  package func grant(administrator pair: Pair) async throws(ProviderError) {
    let own = try ClientCredentials(admin.settings)
    try settings.credentials.endpoint.requireSameServer(as: own.endpoint, admin.name)
    _ = try await own.grant(pair, over: transport)
  }

  package static func token(
    for pair: Pair, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) -> IssuedToken {
    try await OAuthRegistrationSettings(settings).credentials.issue(pair, over: transport)
  }

  package func readPrimary(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    try requireRecoverable()
    return observation.primary
  }

  /// Does nothing: each client is managed by the token that came with it.
  package func administer(with pair: Pair) async {}
}
