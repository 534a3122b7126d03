import OAuth
package import Rotation
import Sodium
package import Transport
package import Vault

/// Salesforce connected apps. No API stages or applies their consumer details. A person does, and this leads them
/// through it. The token endpoint shows the result; the person is asked only if it cannot.
package struct SalesforceConnectedAppProvider: SalesforceGranter, OperatedProvider {
  package static let descriptor = SalesforceConnectedAppSettings.descriptor
  private static let handle = "staged"
  /// How often a person may paste something that cannot be the pair.
  private static let tries = 5

  let domain: Endpoint
  private let steps: OperatorSteps
  private let person: (any Operator)?
  let admin: AdminAccess
  let transport: any HTTPTransport
  private let heard = Heard()

  /// What the person said in this run.
  private actor Heard {
    private(set) var hasApplied = false
    private(set) var hasCancelled = false
    private(set) var current: Pair?
    private(set) var known = KnownPairs([], mark: "")

    func noteApplied() { hasApplied = true }

    func noteCancelled() { hasCancelled = true }

    func note(current: Pair) { self.current = current }

    func note(known: KnownPairs) { self.known = known }
  }

  package static var clientSettings: [String] { ["app"] }

  package static func check(_ settings: [String: String]) throws(ProviderError) {
    _ = try SalesforceConnectedAppSettings(settings)
  }

  package static func domain(of settings: [String: String]) throws(ProviderError) -> Endpoint {
    try SalesforceConnectedAppSettings(settings).domain
  }

  package init(
    settings: [String: String], admin: AdminAccess, transport: any HTTPTransport
  ) throws(ProviderError) {
    let settings = try SalesforceConnectedAppSettings(settings)
    let app = try Self.descriptor.needed("app", settings.app)
    domain = settings.domain
    steps = OperatorSteps(app: app, host: domain.host)
    person = admin.operator
    self.admin = admin
    self.transport = transport
  }

  private func asked() throws(ProviderError) -> any Operator {
    guard let person else {
      throw ProviderError(
        .operatorNeeded, "\(steps.app) of \(steps.host) is rotated by a person, who is asked at a terminal")
    }
    return person
  }

  private static func declined(_ what: String) -> ProviderError {
    ProviderError(
      .operatorNeeded, "\(what); nothing is lost",
      hint: "continue with `relatch resume NAME`, or give up with `relatch abort NAME`")
  }

  // MARK: - Looking

  package func observe(known: KnownPairs) async throws(ProviderError) -> Observation {
    await heard.note(known: known)
    guard let active = known.newest(in: .active) else {
      throw ProviderError(.configuration, "the vault has no active pair of \(steps.app) to ask the org with")
    }
    let isActive = try await accepts(active.pair)
    guard let staged = known.newest(in: .staged) else {
      return isActive ? try seen(active.pair) : try seen(nil)
    }
    let isStaged = try await accepts(staged.pair)
    let (hasApplied, hasCancelled) = (await heard.hasApplied, await heard.hasCancelled)
    switch (isActive, isStaged) {
    case (true, false): return try seen(active.pair, hasCancelled ? nil : staged.pair)
    case (false, true): return try seen(staged.pair)
    case (true, true):
      if try await isApplied(hasApplied, known) { return try seen(staged.pair) }
      return try seen(active.pair, hasCancelled ? nil : staged.pair)
    case (false, false):
      let trouble = ProviderError(
        .unreachable, "\(steps.host) accepts neither the active nor the staged pair of \(steps.app)",
        hint: "run the same command again: a pair that was just applied may need some minutes")
      if hasApplied { throw trouble }
      let current = try await currentPair()
      guard !known.pairs.contains(where: { Self.isSame($0, current) }) else { throw trouble }
      return try seen(current)
    }
  }

  private func isApplied(_ isHeard: Bool, _ known: KnownPairs) async throws(ProviderError) -> Bool {
    guard !isHeard else { return true }
    guard known.isPromoting else { return false }
    let answer = try await asked().confirms(steps.applied(), steps.appliedQuestion)
    if answer { await heard.noteApplied() }
    return answer
  }

  /// The pair that the person says is the current one. If it is not the vault's, it has been granted a token.
  private func currentPair() async throws(ProviderError) -> Pair {
    if let current = await heard.current { return current }
    let person = try asked()
    let typed = try await typed(steps.shown(), steps.currentPrompts, beside: KnownPairs([], mark: ""))
    let isOurs = await heard.known.pairs.contains { Self.isSame($0, typed) }
    if !isOurs {
      guard try await accepts(typed) else {
        throw ProviderError(
          .operatorNeeded, "the pair that was typed as the current one of \(steps.app) is not accepted either",
          hint: "wait some minutes, then `relatch resume NAME`")
      }
      try await person.tell(steps.foreign())
    }
    await heard.note(current: typed)
    return typed
  }

  private func accepts(_ pair: Pair) async throws(ProviderError) -> Bool {
    do {
      _ = try await grant(pair)
      return true
    } catch {
      guard error.code == .refused else { throw error }
      return false
    }
  }

  private static func isSame(_ left: Pair, _ right: Pair) -> Bool {
    left.clientID.isEqual(to: right.clientID) && left.clientSecret.isEqual(to: right.clientSecret)
  }

  private func seen(_ primary: Pair?, _ staged: Pair? = nil) throws(ProviderError) -> Observation {
    Observation(
      consumer: steps.app, primary: try shown(primary, .primary, ""),
      others: try staged.map { pair throws(ProviderError) in [try shown(pair, .staged, Self.handle)] } ?? [])
  }

  /// Always shows the secret too: a key may have been pasted with a secret that is not its own, so only both together
  /// identify a pair. A primary pair that nobody could name gets an identifier that no pair has, because it is not
  /// text.
  private func shown(
    _ pair: Pair?, _ place: ObservedPair.Place, _ handle: String
  ) throws(ProviderError) -> ObservedPair {
    do {
      guard let pair else {
        let unknown: [UInt8] = [0]
        let id = SharedSecret(try SecretBytes(copying: unknown.span.bytes))
        return ObservedPair(place: place, handle: handle, clientID: id, clientSecret: nil, expires: nil)
      }
      return ObservedPair(
        place: place, handle: handle, clientID: SharedSecret(try pair.clientID.clone()),
        clientSecret: SharedSecret(try pair.clientSecret.clone()), expires: nil, sharesClientID: true)
    } catch {
      throw ProviderError(.unreachable, "guarded memory cannot be allocated", local: error)
    }
  }

  // MARK: - Acts

  package func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    guard try await asked().confirms(steps.stage(), steps.stageQuestion) else {
      throw Self.declined("no details were staged for \(steps.app)")
    }
    let pair = try await typed(steps.take(), steps.stagedPrompts, beside: await heard.known)
    do {
      return ObservedPair(
        place: .staged, handle: Self.handle, clientID: SharedSecret(try pair.clientID.clone()),
        clientSecret: SharedSecret(try pair.clientSecret.clone()), expires: nil)
    } catch {
      throw ProviderError(.unreachable, "guarded memory cannot be allocated", local: error)
    }
  }

  /// A pair from the person that looks like one and is not among `known`. The person may try a few times.
  private func typed(
    _ lines: [String], _ prompts: [String], beside known: KnownPairs
  ) async throws(ProviderError) -> Pair {
    var lines = lines
    for _ in 1...Self.tries {
      let parts = try await asked().secrets(lines, prompts)
      guard parts.count == 2 else { break }
      do {
        let typed = try TypedPair(parts[0], parts[1])
        guard let problem = typed.problem(beside: known) else { return try typed.pair() }
        lines = ["Not taken: \(problem)."]
      } catch {
        throw ProviderError(.unreachable, "guarded memory cannot be allocated", local: error)
      }
    }
    throw Self.declined("nothing that was pasted for \(steps.app) could be the pair")
  }

  package func agreeToPromote(_ pair: Pair, refused: ProviderError) async throws(ProviderError) {
    guard try await asked().confirms(steps.unproved(refused.description), steps.unprovedQuestion) else {
      throw Self.declined("the staged pair of \(steps.app) is refused, and is not applied without proof")
    }
  }

  package func promote(handle: String, _ observation: Observation) async throws(ProviderError) {
    guard try await asked().confirms(steps.apply(), steps.applyQuestion) else {
      throw Self.declined("the staged details of \(steps.app) are not applied")
    }
    await heard.noteApplied()
  }

  package func delete(handle: String, _ observation: Observation) async throws(ProviderError) {
    guard try await asked().confirms(steps.cancel(), steps.cancelQuestion) else {
      throw Self.declined("the staged details of \(steps.app) are not cancelled")
    }
    await heard.noteCancelled()
  }

  package func administer(with pair: Pair) async {}
}
