import Age
import Audit
import Rotation
import Sodium
import Storage
import Synchronization
import Testing

@testable import Vault

/// A pair that was handed over, at a provider that refuses it, or refuses everybody.
@Suite("A pair that was handed over")
struct TransferTests {
  /// A bench with `crm` handed over, and its pair refused.
  private func bench(admin: String? = nil, isConfirmed: Bool) async throws -> Bench {
    let bench = try await Bench(admin: admin)
    let now = bench.now.withLock { $0 }
    _ = try await bench.vault.sendHandoff(
      of: "crm", stage: .active, to: HandoffRecipient(try AgeIdentity(generating: .system).recipient),
      expires: now + .seconds(60), note: nil, isTransfer: true, now: now)
    if isConfirmed {
      _ = try await bench.vault.change(now: now) { change in
        var credential = try change.view.credential("crm")
        credential.transfer?.confirm(now: now)
        return try change.save(credential, .handoffConfirmed)
      }
    }
    bench.provider.state.withLock { _ = $0.refused.insert("id-1") }
    return bench
  }

  @Test(
    "is kept while no receipt is confirmed, however long it is refused, and can be taken back",
    arguments: [nil, "admin"])
  func unconfirmed(admin: String?) async throws {
    let bench = try await bench(admin: admin, isConfirmed: false)
    for _ in 1...3 {
      #expect(try await bench.run(.resume) == .handedOver(version: 1, .unconfirmed))
      bench.now.withLock { $0 = $0 + .seconds(86_400) }
    }
    let credential = try await bench.credential()
    #expect(credential.version(in: .active)?.number == 1 && credential.debts.map(\.number) == [1])
    let back = try await bench.vault.withdrawHandoff(of: "crm", now: bench.now.withLock { $0 })
    #expect(!back.isTransferred && back.version(in: .active)?.number == 1)
  }

  @Test("and administers itself is settled by two refusals an hour apart with no acceptance in between, and not sooner")
  func selfAdministered() async throws {
    let bench = try await bench(isConfirmed: true)
    func wait(_ duration: Duration) { bench.now.withLock { $0 = $0 + duration } }
    func refuse(_ isRefused: Bool) {
      bench.provider.state.withLock { state in
        if isRefused { state.refused.insert("id-1") } else { state.refused.remove("id-1") }
      }
    }
    func isSettled() async throws -> Bool {
      guard case .handedOver(1, let pair) = try await bench.run(.resume) else { return false }
      return pair == .settled
    }
    #expect(try await !isSettled())
    wait(.seconds(3599))
    #expect(try await !isSettled())
    refuse(false)
    #expect(try await bench.run(.resume) == .handedOver(version: 1, .accepted))
    refuse(true)
    wait(.seconds(2))
    #expect(try await !isSettled())
    wait(.seconds(3600))
    #expect(try await isSettled())
    #expect(try await bench.credential().version(in: .active) == nil)
  }

  @Test("and is administered by another is settled only if the provider grants the administrator a token in between")
  func control() async throws {
    let bench = try await bench(admin: "admin", isConfirmed: true)
    // It refuses everybody, and the administrator was never asked.
    bench.provider.state.withLock { state in
      state.refused.insert("id-admin")
      state.trouble = { call throws(ProviderError) in
        if call == "observe" { throw ProviderError(.configuration, "another org") }
      }
    }
    #expect(await bench.code(.resume) == .provider(.refused))
    #expect(try await bench.credential().version(in: .active)?.number == 1)
    bench.provider.state.withLock { _ = $0.refused.remove("id-admin") }
    #expect(try await bench.run(.resume) == .handedOver(version: 1, .settled))
    #expect(bench.provider.calls.suffix(4) == ["grant id-1", "grant id-admin", "observe", "grant id-1"])
  }

  @Test("and refused in other words the second time is settled only if the administrator is accepted after that, too")
  func controlAgain() async throws {
    let bench = try await bench(admin: "admin", isConfirmed: true)
    let tries = Counter()
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] call throws(ProviderError) in
        if call == "observe" { throw ProviderError(.configuration, "another org") }
        // From the second try on, another server answers, which refuses everybody.
        guard call == "grant id-1", tries.next() == 2 else { return }
        bench.provider.state.withLock { _ = $0.refused.insert("id-admin") }
        throw ProviderError(.refused, "nobody is known", status: 401)
      }
    }
    #expect(await bench.code(.resume) == .provider(.refused))
    #expect(bench.provider.calls.suffix(2) == ["grant id-1", "grant id-admin"])
    #expect(try await bench.credential().version(in: .active)?.number == 1)
  }

  @Test(
    "is not reported on if it is taken back while it is tried, and neither is a pair handed over next",
    arguments: [true, false])
  func takenBack(isRefused: Bool) async throws {
    for isSentAgain in [true, false] {
      let bench = try await bench(isConfirmed: false)
      bench.provider.state.withLock { state in
        if !isRefused { state.refused = [] }
        state.meanwhile = { [unowned bench] call in
          guard call == "grant id-1" else { return }
          let now = bench.now.withLock { $0 }
          await #expect(throws: Never.self) {
            _ = try await bench.vault.withdrawHandoff(of: "crm", now: now)
            guard isSentAgain else { return }
            _ = try await bench.vault.sendHandoff(
              of: "crm", stage: .active, to: HandoffRecipient(try AgeIdentity(generating: .system).recipient),
              expires: now + .seconds(600), note: nil, isTransfer: true, now: now)
          }
        }
      }
      #expect(await bench.code(.resume) == .held)
      let credential = try await bench.credential()
      #expect(credential.isTransferred == isSentAgain && credential.version(in: .active)?.number == 1)
      #expect(try await !bench.events().contains { $0.event == "handoff.tried" })
    }
  }

  @Test("is not handed over before a run has compared it with its provider after a restore")
  func restored() async throws {
    let bench = try await Bench()
    let end = try await bench.store.read { try VaultView($0).endpoint }
    try await bench.vault.logRestore(end, behind: nil, now: bench.now.withLock { $0 })
    @Sendable func send() async throws {
      let now = bench.now.withLock { $0 }
      _ = try await bench.vault.sendHandoff(
        of: "crm", stage: .active, to: HandoffRecipient(try AgeIdentity(generating: .system).recipient),
        expires: now + .seconds(60), note: nil, isTransfer: true, now: now)
    }
    bench.provider.state.withLock { state in
      state.meanwhile = { _ in await #expect(throws: HandoffError.self) { try await send() } }
    }
    await #expect(throws: HandoffError.self) { try await send() }
    guard case .promoted = try await bench.run() else { return #expect(Bool(false)) }
    bench.provider.state.withLock { $0.meanwhile = { _ in } }
    guard case .settled = try await bench.run(.retire) else { return #expect(Bool(false)) }
    try await send()
    #expect(try await bench.credential().isTransferred)
  }

  @Test("is not settled while its administrator still sees it, even if it is refused")
  func shown() async throws {
    let bench = try await bench(admin: "admin", isConfirmed: true)
    #expect(try await bench.run(.resume) == .handedOver(version: 1, .accepted))
    #expect(try await bench.credential().version(in: .active)?.number == 1)
  }

  @Test(
    "is tried less and less often by a schedule if the provider does not answer, and as it asks",
    arguments: [nil, 7200])
  func unanswered(retryAfter: Int?) async throws {
    for call in ["grant id-1", "grant id-admin", "observe"] {
      let bench = try await bench(admin: "admin", isConfirmed: true)
      bench.provider.state.withLock { state in
        state.trouble = { asked throws(ProviderError) in
          guard asked == call else { return }
          guard let retryAfter else { throw ProviderError(.notPermitted, "not now") }
          throw ProviderError(.limited, "too many", status: 429, retryAfter: .seconds(retryAfter))
        }
      }
      for _ in 1...119 {
        let code = await bench.code(.scheduled)
        #expect(code == .notDue || code == .provider(retryAfter == nil ? .notPermitted : .limited), "\(call)")
        bench.now.withLock { $0 = $0 + .seconds(60) }
      }
      // At 0, 1, 3, 7, 15, 31 and 63 minutes.
      #expect(bench.provider.calls.count { $0 == call } == (retryAfter == nil ? 7 : 1), "\(bench.provider.calls)")
      let transfer = try #require(try await bench.credential().transfer)
      #expect(transfer.refused == nil && transfer.attempts == (retryAfter == nil ? 7 : 1), "nothing was seen")
      #expect(
        try await bench.events().filter { $0.event == "handoff.tried" }
          .allSatisfy { $0.details["reason"] != nil && $0.details["answers"] == nil })
    }
  }

  @Test("and was tried by a clock that was ahead is settled an hour after the right clock saw it refused")
  func clockWasAhead() async throws {
    let bench = try await bench(isConfirmed: true)
    let right = bench.now.withLock { $0 }
    bench.now.withLock { $0 = right + .seconds(730 * 86_400) }
    _ = try await bench.run(.resume)
    bench.now.withLock { $0 = right }
    let until = right + .seconds(3600)
    #expect(try await bench.run(.scheduled) == .handedOver(version: 1, .refused(settledFrom: until)))
    #expect(try await bench.credential().transfer?.refused == right)
    bench.now.withLock { $0 = until }
    #expect(try await bench.run(.scheduled) == .handedOver(version: 1, .settled))
  }
}
