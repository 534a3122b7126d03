import OrgSimulator
import Rotation
import Synchronization
import Testing
import Transport
import Vault

/// Every way for a call to fail × every call that changes the provider × every reading. docs/rotation.md prints the
/// table.
@Suite("A call that changes the provider can fail in any way, at any kind of provider")
struct FaultTableTests {
  @Test("and the rotation is done, undone with the old pair active, or waiting with both pairs kept")
  func table() async throws {
    let found = Findings()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, readings) in CrashMatrixTests.readings.enumerated() {
        if index >= 6 { try await group.next() }
        group.addTask { try await Self.strikeAll(readings, found) }
      }
      try await group.waitForAll()
    }
    let cells = found.all
    print(
      """
      fault table: \(CallFault.all.count) faults × the calls that change something × \(CrashMatrixTests.readings.count) \
      sets of readings, for good or once: \(cells.values.map(\.count).reduce(0, +)) ends
      """)
    var lines =
      "\n| what goes wrong | \(Call.allCases.map(\.rawValue).joined(separator: " | ")) |\n|---|---|---|---|---|\n"
    for fault in CallFault.all {
      let row = Call.allCases.map { call in
        let once = Self.words(cells[Cell(fault: fault.words, call: call, isForGood: false)])
        let forGood = Self.words(cells[Cell(fault: fault.words, call: call, isForGood: true)])
        return once == forGood ? once : "\(once); for good: \(forGood)"
      }
      lines += "| \(fault.words) | \(row.joined(separator: " | ")) |\n"
    }
    try GeneratedPage("docs/rotation.md").compare(lines, between: "<!-- fault table -->\n", and: "\n<!-- end -->")
  }

  private static func words(_ ends: [End]?) -> String {
    Set(ends ?? []).map(\.rawValue).sorted().joined(separator: " or ")
  }

  /// How a rotation ended.
  enum End: String {
    /// The new pair is active, primary and accepted, the old one refused, or owed in its grace.
    case done
    /// The old pair is active, primary and accepted, and nothing is staged anywhere.
    case undone
    /// Neither, but the vault holds every pair that the provider accepts, and at least one.
    case waiting
    /// What must never happen.
    case lost
  }

  struct Cell: Hashable {
    let fault: String
    let call: Call
    let isForGood: Bool
  }

  /// The findings of all runs together.
  private final class Findings: Sendable {
    private let cells = Mutex<[Cell: [End]]>([:])

    var all: [Cell: [End]] { cells.withLock { $0 } }

    func add(_ end: End, to cell: Cell) { cells.withLock { $0[cell, default: []].append(end) } }
  }

  /// A call that changes the provider.
  enum Call: String, CaseIterable {
    case stage = "stage: `POST`"
    case promote = "promote: `PATCH`"
    case retire = "retire: `DELETE`"
    case discard = "discard: `DELETE`"

    var method: String {
      switch self {
      case .stage: "POST"
      case .promote: "PATCH"
      case .retire, .discard: "DELETE"
      }
    }

    var goal: RotationRunner.Goal { self == .retire ? .retire : .rotate }
    /// How it ends if nothing goes wrong.
    var end: End { self == .discard ? .undone : .done }
  }

  /// Strikes each call of a rotation under one set of readings in every way.
  private static func strikeAll(_ readings: [String], _ found: Findings) async throws {
    // A provider that grants nothing to a staged pair causes it to be discarded: only that call is reached.
    let isHopeless = readings.contains("stagedPairGrants=false")
    try await Scenario.with(readings, policy: ["grace": "24h", "propagation": "2m"]) { scenario in
      let recorder = MomentRecorder(scenario)
      await recorder.note(.beforeRequest, "staging")
      if !isHopeless { scenario.server.changeConditions { $0.poisonsNextStagedPair = true } }
      let rejected = await scenario.attempt(over: recorder.store, watching: { recorder.watching($0) })
      guard case .success(.rejected) = rejected else {
        Issue.record("\(readings): \(rejected)")
        return
      }
      var starts: [Call: Moment] = [:]
      starts[.discard] = recorder.moments.first { $0.place == .beforeRequest && $0.steps.last?.event == "rejected" }
      if !isHopeless {
        starts[.stage] = recorder.moments.first
        let begun = try await Scenario(scenario, at: #require(recorder.moments.first))
        let second = MomentRecorder(begun)
        let result = await begun.attempt(over: second.store, watching: { second.watching($0) })
        #expect(result.isPromoted, "\(readings): \(result)")
        await second.note(.beforeRequest, "retiring")
        starts[.promote] = second.moments.first {
          $0.place == .beforeRequest && $0.steps.last?.event == "validate.intended"
        }
        // If the replaced pair dies at once, there is nothing to delete.
        let isLeft = try begun.consumer().slot != nil
        #expect(isLeft != readings.contains("replacedPairLivesOn=false"), "\(readings)")
        if isLeft { starts[.retire] = second.moments.last }
      }
      for (call, start) in starts {
        for fault in CallFault.all {
          let once = try await strike(call, fault, false, scenario, start)
          found.add(once.end, to: Cell(fault: fault.words, call: call, isForGood: false))
          // A permanent fault begins like a passing one, and takes long: it is tried only under the defaults and the
          // combinations.
          guard readings.count != 1 else { continue }
          let forGood = try await strike(call, fault, true, scenario, start)
          found.add(forGood.end, to: Cell(fault: fault.words, call: call, isForGood: true))
        }
      }
    }
  }

  /// Runs once with a call struck, and then again without, unless the first run ended it. Returns how often the call
  /// was struck, and the end.
  private static func strike(
    _ call: Call, _ fault: CallFault, _ isForGood: Bool, _ scenario: Scenario, _ start: Moment
  ) async throws -> (times: Int, end: End) {
    let what = "\(fault.words)\(isForGood ? " for good" : ""), \(call.rawValue), \(scenario.readings)"
    let fork = try await Scenario(scenario, at: start)
    let strikes = Strikes()
    fault.arm(fork.server, call.method, isForGood)
    let first = await fork.attempt(
      call.goal, watching: { fault.watching($0, fork.server, call.method, isForGood, strikes) })
    try await fork.checkLaws("\(what): \(first)")
    let times = max(strikes.count, fork.server.requests.count { $0.fault != nil })
    #expect(times > 0, "\(what): the call was not reached: \(first)")
    if case .failure(let error) = first { #expect(error is RotationError, "\(what): \(error)") }
    try await settleSlowly(fork)
    let end = try await end(of: fork, call)
    #expect(end != .lost, "\(what): \(first)")
    guard end != call.end else { return (times, end) }
    // The fault is over: the next run ends as if there had been none.
    fork.server.clearFaults()
    let next = await fork.attempt(call.goal)
    try await fork.checkLaws("\(what): \(first), then \(next)")
    try await settleSlowly(fork)
    let last = try await Self.end(of: fork, call)
    #expect(last == call.end, "\(what): \(first), then \(next)")
    return (times, end)
  }

  /// Waits if the provider still accepts a deleted pair for a while.
  private static func settleSlowly(_ scenario: Scenario) async throws {
    guard scenario.readings.contains("deleteDelay=60"), try await [.deleted, .proving].contains(scenario.state()) else {
      return
    }
    scenario.clock.advance(by: .seconds(120))
    _ = await scenario.attempt(.retire)
  }

  /// How it ended. If the pair is to be retired now, leaving it owed is no end.
  private static func end(of scenario: Scenario, _ call: Call) async throws -> End {
    let credential = try await scenario.credential()
    let state = try await scenario.state()
    let consumer = try scenario.consumer()
    var pairs: [(stage: Stage, pair: IssuedText)] = []
    for (version, pair) in try await scenario.vault.pairs(
      of: "crm", choosing: { $0.versions }, event: .pairUsed, now: scenario.clock.now())
    { pairs.append((version.stage, IssuedText(pair))) }
    let accepted = pairs.filter { scenario.server.accepts(key: $0.pair.key, secret: $0.pair.secret) }
    let active = pairs.first { $0.stage == .active }
    let isInUse = consumer.primary?.key == active?.pair.key && accepted.contains { $0.stage == .active }
    switch (state, credential.version(in: .active)?.number) {
    case (.owed, 2) where call != .retire, (.settled, 2): return isInUse ? .done : .lost
    case (.failed, 1), (.ready, 1): return isInUse && consumer.slot == nil ? .undone : .lost
    default: break
    }
    // Nothing was given up, and the vault has every pair that the org has, except one that was made and not looked at
    // yet.
    let isKept = !accepted.isEmpty && !pairs.contains { $0.stage == .retired }
    let others = [consumer.primary, consumer.slot?.pair].compactMap(\.self).filter { issued in
      !pairs.contains { $0.pair.key == issued.key }
    }
    return isKept && (others.isEmpty || state == .staging) ? .waiting : .lost
  }
}

/// How often a transport itself failed.
final class Strikes: Sendable {
  private let number = Mutex(0)

  var count: Int { number.withLock { $0 } }

  /// Whether this strike is the first, or strikes are permanent.
  func take(_ isForGood: Bool) -> Bool {
    number.withLock { number in
      number += 1
      return isForGood || number == 1
    }
  }
}

/// One way for a call to fail.
struct CallFault: Sendable {
  enum Cause: Sendable {
    case org(OrgFault.Kind, acts: Bool)
    /// Nobody listens at the call's address.
    case refused
    /// The answer takes longer than the client waits.
    case late(acts: Bool)
  }

  let words: String
  let cause: Cause

  static let all: [CallFault] = [
    CallFault("connection refused", .refused),
    CallFault("connection closed before it acted", .org(.dropBefore, acts: false)),
    CallFault("connection closed after it acted", .org(.dropAfter, acts: true)),
    CallFault("no answer in time, not acted", .late(acts: false)),
    CallFault("no answer in time, acted", .late(acts: true)),
    CallFault("answer cut short, acted", .org(.truncated, acts: true)),
    CallFault("401, the session has ended", .org(.sessionEnded, acts: false)),
    CallFault("429 with `Retry-After`", .org(.tooManyRequests, acts: false)),
    CallFault("500 before it acted", .org(.serverError, acts: false)),
    CallFault("500 after it acted", .org(.serverError, acts: true)),
    CallFault("503 before it acted", .org(.unavailable, acts: false)),
    CallFault("503 after it acted", .org(.unavailable, acts: true)),
    CallFault("503 and a page, not acted", .org(.maintenancePage, acts: false)),
    CallFault("200 and no JSON, acted", .org(.garbage, acts: true)),
    CallFault("200 and no JSON, not acted", .org(.garbage, acts: false)),
    CallFault("200 and a page, acted", .org(.htmlPage, acts: true)),
    CallFault("200 and other types, acted", .org(.wrongTypes, acts: true)),
    CallFault("200 and too large, acted", .org(.huge, acts: true)),
    CallFault("200 and nothing, acted", .org(.empty, acts: true)),
    CallFault("200 and nothing, not acted", .org(.empty, acts: false)),
  ]

  private init(_ words: String, _ cause: Cause) {
    self.words = words
    self.cause = cause
  }

  private static let path = "*/staged*"

  func arm(_ server: SimulatorServer, _ method: String, _ isForGood: Bool) {
    let count = isForGood ? nil : 1
    switch cause {
    case .refused: break
    case .org(let kind, let acts):
      server.add(
        OrgFault(kind, method: method, path: Self.path, count: count, acts: acts, seconds: 7, bytes: 2 << 20))
    case .late(let acts):
      server.add(OrgFault(.slow, method: method, path: Self.path, count: count, acts: acts, seconds: 20))
    }
  }

  /// The client's part of the fault.
  func watching(
    _ transport: any HTTPTransport, _ server: SimulatorServer, _ method: String, _ isForGood: Bool, _ strikes: Strikes
  ) -> any HTTPTransport {
    switch cause {
    case .org: transport
    case .refused, .late:
      StruckTransport(
        base: transport, server: server, fault: self, method: method, isForGood: isForGood, strikes: strikes)
    }
  }

  private struct StruckTransport: HTTPTransport {
    let base: any HTTPTransport
    let server: SimulatorServer
    let fault: CallFault
    let method: String
    let isForGood: Bool
    let strikes: Strikes

    private var received: Int { server.requests.count { $0.fault == .slow } }

    func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
      guard request.method.rawValue == method, request.endpoint.url.contains("/staged"), strikes.take(isForGood) else {
        return try await base.send(request)
      }
      var request = request
      if case .refused = fault.cause {
        // Port 1 is reserved, and nobody listens there.
        request = HTTPRequest(
          request.method, try Endpoint("http://127.0.0.1:1/"), headers: request.headers,
          secretHeaders: request.secretHeaders, body: request.body, limits: request.limits,
          isMutating: request.isMutating)
        return try await base.send(request)
      }
      let before = received
      request.limits.total = .milliseconds(50)
      do { return try await base.send(request) } catch {
        // Nobody waits any more, but the request may still be on its way: the org receives it before the run continues.
        for _ in 1...1000 where received == before { try? await Task.sleep(for: .milliseconds(10)) }
        throw error
      }
    }
  }
}
