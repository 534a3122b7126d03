import Audit
import Storage
import Synchronization
import Testing
import Vault

@testable import Rotation

@Suite("A scheduled run")
struct ScheduledRunTests {
  private static let day = 86_400

  /// A bench whose pair is as old as it may become.
  private func bench(_ policy: [String: String] = [:]) async throws -> Bench {
    let bench = try await Bench(policy: policy.merging(["max-age": "30d"]) { $1 })
    bench.now.withLock { $0 = $0 + .seconds(30 * Self.day) }
    return bench
  }

  private func size(_ bench: Bench) async throws -> UInt64 { try await bench.store.read { try AuditLog.size(in: $0) } }

  private func journal(_ bench: Bench) async throws -> RotationJournal? {
    try await bench.store.read { transaction in
      let view = try VaultView(transaction)
      return try RotationJournal(view, of: view.credential("crm"))
    }
  }

  /// A cron job: each minute for a quarter of an hour, then three times an hour, for so many days.
  private func cron(days: Int, _ bench: Bench) async throws -> [RotationError.Code] {
    var codes: [RotationError.Code] = []
    for run in 0..<(15 + days * 72) {
      if let code = await bench.code(.scheduled), code != .notDue { codes.append(code) }
      bench.now.withLock { $0 = $0 + .seconds(run < 15 ? 60 : 1200) }
    }
    return codes
  }

  @Test("asks for nothing and logs nothing while nothing is due")
  func notDue() async throws {
    let bench = try await Bench(policy: ["max-age": "30d"])
    let before = try await size(bench)
    #expect(await bench.code(.scheduled) == .notDue)
    #expect(bench.provider.calls.isEmpty)
    #expect(try await size(bench) == before)
    #expect(try await bench.leaseHolder() == nil)
  }

  @Test("repeated for sixty days rotates twice, and retires each replaced pair when its grace is over")
  func sixtyDays() async throws {
    let bench = try await bench(["grace": "1d"])
    var sizes: [UInt64] = []
    for run in 0..<(60 * 4) {
      _ = await bench.code(.scheduled)
      bench.now.withLock { $0 = $0 + .seconds(6 * 3600) }
      if run % 4 == 0 { sizes.append(try await size(bench)) }
    }
    let credential = try await bench.credential()
    #expect(credential.versions.map(\.stage) == [.retired, .retired, .active])
    #expect(bench.provider.calls.count { $0 == "stage" } == 2)
    #expect(Set(sizes).count <= 5, "the log grows only with what is done")
  }

  @Test("counts what stops it before it asks for anything, and makes the next attempt wait")
  func preflight() async throws {
    let bench = try await bench()
    bench.provider.state.withLock { $0.slot = ("stranger", .staged) }
    #expect(await bench.code(.scheduled) == .foreignStagedPair)
    #expect(try await journal(bench)?.failedAttempts == 1)
    #expect(try await bench.state() == .ready)
    let calls = bench.provider.calls.count
    #expect(await bench.code(.scheduled) == .notDue)
    #expect(bench.provider.calls.count == calls)
    let codes = try await cron(days: 1, bench)
    #expect((8...14).contains(codes.count), "1, 2, 4 … minutes, then 6 hours: \(codes.count)")
    // The pause never holds back a rotation that a person starts.
    bench.provider.state.withLock { $0.slot = nil }
    guard case .promoted = try await bench.run() else {
      Issue.record("expected a promotion")
      return
    }
    #expect(try await journal(bench)?.failedAttempts == 0)
  }

  @Test("does not storm a provider that stops answering at some call, and finishes what was begun", arguments: 1...9)
  func noStorm(call: Int) async throws {
    let bench = try await bench(["grace": "1h"])
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] asked throws(ProviderError) in
        if bench.provider.calls.count >= call { throw ProviderError(.unreachable, "gone", mayHaveActed: false) }
      }
    }
    let before = try await size(bench)
    let codes = try await cron(days: 1, bench)
    #expect(codes.count <= 20, "\(codes.count) attempts in a day")
    #expect(bench.provider.calls.count <= 150, "\(bench.provider.calls.count) calls in a day")
    #expect(try await size(bench) - before <= 250)
    bench.provider.state.withLock { $0.trouble = { _ throws(ProviderError) in } }
    _ = try await cron(days: 1, bench)
    #expect(try await bench.state() == .settled)
    #expect(try await bench.credential().version(in: .active)?.number == 2)
    #expect(bench.provider.state.withLock { $0.primary } == "id-2")
  }

  @Test("asks a provider that wants to be left alone for an hour nothing more for an hour", arguments: 1...12)
  func leftAlone(call: Int) async throws {
    let bench = try await bench(["grace": "0s", "propagation": "10m"])
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] asked throws(ProviderError) in
        guard bench.provider.calls.count >= call else { return }
        throw ProviderError(.limited, "too many", status: 429, retryAfter: .seconds(3600))
      }
    }
    // Once the new pair may have been promoted, the run reports that, and what is left to be seen.
    #expect(await bench.code(.scheduled) == (call < 6 ? .provider(.limited) : .outstanding))
    #expect(bench.provider.calls.count == call, "\(bench.provider.calls)")
    #expect(bench.slept.withLock { $0 }.isEmpty)
    bench.now.withLock { $0 = $0 + .seconds(3599) }
    #expect(await bench.code(.scheduled) == .notDue)
    #expect(bench.provider.calls.count == call)
    bench.provider.state.withLock { $0.trouble = { _ throws(ProviderError) in } }
    bench.now.withLock { $0 = $0 + .seconds(1) }
    guard case .settled = try await bench.run(.scheduled) else {
      Issue.record("expected the end of the rotation")
      return
    }
  }

  @Test("makes new pairs less and less often if they are always refused")
  func rejected() async throws {
    let bench = try await bench()
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call.hasPrefix("grant"), call != "grant id-1" { throw ProviderError(.refused, "no") }
      }
    }
    _ = try await cron(days: 3, bench)
    // At 0, 1, 3, 7, 15, 31 and 55 hours.
    #expect(bench.provider.calls.count { $0 == "stage" } == 7)
    #expect(try await journal(bench)?.failedRotations == 6)
    guard case .rejected = try await bench.run() else {
      Issue.record("a person is not held")
      return
    }
  }

  @Test("holds one of two that must not rotate together while the other may still promote, and a day after")
  func together() async throws {
    let bench = try await bench()
    var policy = Policy()
    try policy.set("not-together-with", to: "crm")
    _ = try await bench.vault.add(
      name: "erp", provider: "fake", settings: [:], policy: policy, admin: "erp", pair: FakeProvider.pair("erp-1"),
      now: bench.now.withLock { $0 })
    _ = try await bench.vault.change(now: bench.now.withLock { $0 }) { change in
      var partner = try change.view.credential("erp")
      partner.rotation += 1
      return try change.saveStep(partner, step: 0, EventName("rotation.begun"))
    }
    #expect(await bench.code(.scheduled) == .notDue, "erp names crm, and crm is held by it")
    #expect(bench.provider.calls.isEmpty)
    _ = try await bench.vault.change(now: bench.now.withLock { $0 }) { change in
      try change.saveStep(change.view.credential("erp"), step: 1, EventName("rotation.abandoned"))
    }
    guard case .promoted = try await bench.run(.scheduled) else {
      Issue.record("expected a promotion")
      return
    }
  }

  @Test("begins nothing if one it must not rotate together with began while it compared a restored vault")
  func togetherAfterRestore() async throws {
    let bench = try await bench()
    let now = bench.now.withLock { $0 }
    var policy = Policy()
    try policy.set("not-together-with", to: "crm")
    _ = try await bench.vault.add(
      name: "erp", provider: "fake", settings: [:], policy: policy, admin: "erp", pair: FakeProvider.pair("erp-1"),
      now: now)
    let end = try await bench.store.read { try VaultView($0).endpoint }
    try await bench.vault.logRestore(end, behind: nil, now: now)
    bench.provider.state.withLock { state in
      state.meanwhile = { [unowned bench] call in
        guard call == "observe", bench.provider.calls == ["observe"] else { return }
        await #expect(throws: Never.self) {
          _ = try await bench.vault.change(now: now) { try $0.begin($0.view.credential("erp")) }
        }
      }
    }
    #expect(await bench.code(.scheduled) == .notDue)
    #expect(bench.provider.calls == ["observe"])
    #expect(try await bench.credential().rotation == 0)
  }

  @Test("dates a pair that it finds after a crash from the request for it")
  func ageOfAdopted() async throws {
    let bench = try await bench()
    let asked = bench.now.withLock { $0 }
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] call throws(ProviderError) in
        if bench.provider.calls.contains("stage") {
          if call == "stage" { bench.provider.state.withLock { $0.slot = ("id-2", .staged) } }
          throw ProviderError(.unreachable, "gone", mayHaveActed: true)
        }
      }
    }
    _ = await bench.code(.scheduled)
    bench.provider.state.withLock { $0.trouble = { _ throws(ProviderError) in } }
    bench.now.withLock { $0 = $0 + .seconds(Self.day) }
    guard case .promoted = try await bench.run(.scheduled) else {
      Issue.record("expected a promotion")
      return
    }
    #expect(try await bench.credential().version(in: .active)?.created == asked)
  }
}
