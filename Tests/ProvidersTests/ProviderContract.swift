import Audit
import Providers
import Rotation
import Synchronization
import Testing
import Vault

/// Where a provider is at home: a simulator, a real server, or one that answers as documented. All of the provider's
/// requests go through `server`, which can lose them.
protocol ProviderHouse: Sendable {
  var server: LoopbackServer { get }
  /// Whether everything there is changed by a person and nothing by a request.
  var isChangedByHand: Bool { get }
  /// A new credential there, whose pair is accepted.
  func tenancy() async throws -> Tenancy
  /// Whether the token endpoint, or its equivalent, accepts `pair`; not asked through the provider.
  func accepts(_ pair: Pair) async throws -> Bool
}

extension ProviderHouse {
  var isChangedByHand: Bool { false }
}

/// What every provider keeps, whatever its system is like. docs/providers/README.md.
struct ProviderContract: Sendable {
  let house: any ProviderHouse

  /// Checks all of it.
  func check() async throws {
    try await rotates()
    try await refusesWrongSecrets()
    try await survivesLosses()
    try await takesNonsenseForNoAnswer()
  }

  private func with(_ body: (ProviderBench, Tenancy) async throws -> Void) async throws {
    let tenancy = try await house.tenancy()
    let bench = try await ProviderBench(tenancy)
    house.server.forget()
    let result: Result<Void, any Error>
    do { result = .success(try await body(bench, tenancy)) } catch { result = .failure(error) }
    await bench.stop()
    try result.get()
  }

  /// A rotation ends with a new pair that is accepted and the old one refused; and so does another rotation after it.
  func rotates() async throws {
    try await with { bench, tenancy in
      let seen = try await bench.provider().observe(known: bench.known())
      #expect(seen.primary.matches(tenancy.pair), "the active pair is seen to be primary")
      #expect(seen.others.isEmpty)
      #expect(try await bench.run() == .settled(active: 2))
      try await expectEnd(bench, after: tenancy, "a rotation")
      let second = try await bench.active()
      #expect(try await bench.run() == .settled(active: 3))
      #expect(try await !house.accepts(second))
      #expect(try await house.accepts(bench.active()))
    }
  }

  /// The same identifier with another secret, and another identifier with the secret, are refused, and not reported as
  /// trouble.
  func refusesWrongSecrets() async throws {
    try await with { bench, tenancy in
      let provider = try await bench.provider()
      _ = try await provider.grant(tenancy.pair)
      let id = secretText(tenancy.pair.clientID)
      let wrong = [try pair(id, "wrong-\(secretText(tenancy.pair.clientSecret).reversed())")]
      for wrong in wrong {
        let found = await failure { _ = try await provider.grant(wrong) }
        #expect(found?.code == .refused, "\(String(describing: found))")
        #expect(found?.description.contains(secretText(wrong.clientSecret)) == false)
      }
    }
  }

  /// Each request of a rotation is lost in each way: the vault always has a pair that is accepted, or the server shows
  /// it, and the next runs end as if nothing had happened.
  ///
  /// With `onlyChanges`, only requests that change something at the server are lost, and only by lost connections: for
  /// servers that take their time.
  func survivesLosses(onlyChanges: Bool = false) async throws {
    var requests: [(number: Int, isChange: Bool)] = []
    try await with { bench, _ in
      _ = try await bench.run()
      requests = house.server.requests.enumerated().map { ($0.offset + 1, $0.element.isChange) }
    }
    #expect(requests.contains { $0.isChange } != house.isChangedByHand)
    for (number, isChange) in requests where isChange || !onlyChanges {
      // A run that dies while it waits for an answer: the next one knows only of an intent.
      if isChange { try await survivesDeath(at: number) }
      // For a request that changes nothing, losing it before it acted is enough, with a page as the answer now and
      // then.
      let losses =
        isChange
        ? onlyChanges ? [.before, .after] : LoopbackServer.Loss.allCases : [number.isMultiple(of: 3) ? .page : .before]
      for loss in losses {
        try await with { bench, tenancy in
          house.server.lose(number, loss)
          let when = "request \(number) of \(requests.count) lost: \(loss)"
          try await runToTheEnd(bench, when)
          try await expectEnd(bench, after: tenancy, when)
        }
      }
    }
  }

  private func survivesDeath(at number: Int) async throws {
    try await with { bench, tenancy in
      for later in number...(number + 60) { house.server.lose(later, later == number ? .after : .before) }
      _ = await rotationFailure { _ = try await bench.run() }
      house.server.forget()
      let when = "a run that died after request \(number)"
      try await runToTheEnd(bench, when)
      try await expectEnd(bench, after: tenancy, when)
    }
  }

  /// Runs as cron would, until the rotation that was begun is over.
  private func runToTheEnd(_ bench: ProviderBench, _ when: String) async throws {
    for _ in 1...6 {
      do { _ = try await bench.run() } catch let error as RotationError { _ = error }
      let credential = try await bench.credential()
      if try await bench.state() == .settled, credential.debts.isEmpty { return }
      // After a cut-over's act and until its pair is saved, the pair is only at the server, which shows it.
      let provider = try await bench.provider()
      if provider.replacement == .cutOver, try await bench.state() == .staging {
        // Waits for a request that may still act.
        bench.now.withLock { $0 = $0 + .seconds(600) }
        continue
      }
      var isOneAccepted = false
      for (_, pair) in try await bench.saved() where !isOneAccepted { isOneAccepted = try await house.accepts(pair) }
      #expect(isOneAccepted, "law 3: \(when)")
    }
  }

  private func expectEnd(_ bench: ProviderBench, after tenancy: Tenancy, _ when: String) async throws {
    let credential = try await bench.credential()
    #expect(try await bench.state() == .settled, "\(when)")
    #expect(credential.version(in: .active).map { $0.number > 1 } == true && credential.debts.isEmpty, "\(when)")
    #expect(try await house.accepts(bench.active()), "the new pair is accepted: \(when)")
    #expect(try await !house.accepts(tenancy.pair), "the old pair is refused: \(when)")
  }

  /// Pages, errors and other people's JSON instead of an answer change nothing that the vault believes.
  func takesNonsenseForNoAnswer() async throws {
    for loss in [LoopbackServer.Loss.page, .trouble] {
      try await with { bench, tenancy in
        for number in 1...40 { house.server.lose(number, loss) }
        let found = await rotationFailure { _ = try await bench.run() }
        #expect(found != nil, "a rotation against nonsense ends with an error: \(loss)")
        #expect(found?.text.contains(secretText(tenancy.pair.clientSecret)) == false)
        house.server.forget()
        let isAccepted = try await house.accepts(bench.active())
        #expect(isAccepted)
      }
    }
  }
}
