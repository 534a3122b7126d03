import Audit
import FoundationEssentials
import Glibc
import OrgSimulator
import Rotation
import Storage
import Synchronization
import Testing
import Vault

// The nine laws, as far as they show from outside: in the org's requests, the runs' reports, the vault and its log.
extension Scenario {
  /// Fails the test if a law is broken. Called after every run, however it ended. `died` means that a run was cut off,
  /// and could give nothing back; `contained` means that laws 2 and 3 are not checked.
  func checkLaws(
    _ when: String, died: Bool = false, contained: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    noteSecrets()
    let credential = try await credential()
    var pairs: [UInt64: IssuedText] = [:]
    for (version, pair) in try await vault.pairs(
      of: "crm", choosing: { $0.versions }, event: .pairUsed, now: clock.now())
    { pairs[version.number] = IssuedText(pair) }
    let laws = Laws(
      scenario: self, when: when, credential: credential, pairs: pairs, requests: server.requests,
      steps: timeline.steps, rows: try await store.allRows(), place: sourceLocation)
    laws.saveBeforeUse()
    if !contained {
      laws.proveBeforePromote()
      laws.neverWithoutAKey()
    }
    laws.logBeforeRelease()
    laws.oldSecretsAreDebts()
    laws.secretsStayWhereTheyBelong()
    try await laws.oneHandAtATime(died: died)
    try await laws.provableByOutsiders()
    laws.ambiguityIsAState()
    try await laws.nothingDueIsOverlooked()
    // Not in any law: nothing was made and forgotten.
    let isSlotOurs = try await slotIsKnown(pairs)
    #expect(isSlotOurs, Comment(rawValue: "\(when): a pair was made and forgotten"), sourceLocation: sourceLocation)
  }

  /// Whether the vault can still name the pair in the slot.
  private func slotIsKnown(_ pairs: [UInt64: IssuedText]) async throws -> Bool {
    guard let slot = try consumer().slot, slot.state != .expired else { return true }
    if pairs.values.contains(where: { $0.key == slot.pair.key }) { return true }
    // Staged and not yet adopted: the journal shows that staging was requested.
    let state = try await state()
    return state == .staging || state == .ready
  }

  /// What a finished rotation promises: the primary pair there is the active one here, and it is accepted.
  func checkPromoted(_ when: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let context = Comment(rawValue: when)
    let active = try #require(try await saved(.active))
    #expect(try consumer().primary?.key == text(active.clientID), context, sourceLocation: sourceLocation)
    #expect(try await isAccepted(.active), context, sourceLocation: sourceLocation)
  }

  /// How many requests of one kind took effect.
  func acted(_ method: String, _ suffix: String = "") -> Int {
    server.requests.count { $0.method == method && $0.acted && (suffix.isEmpty || $0.path.hasSuffix(suffix)) }
  }
}

/// A pair in the clear, as the simulated org knows it.
struct IssuedText: Sendable {
  let key: String
  let secret: String

  init(_ pair: Pair) {
    key = text(pair.clientID)
    secret = text(pair.clientSecret)
  }
}

/// What is known when the laws are checked.
private struct Laws {
  let scenario: Scenario
  let when: String
  let credential: Credential
  /// Every version's pair, including retired ones.
  let pairs: [UInt64: IssuedText]
  let requests: [RecordedRequest]
  let steps: [Timeline.Step]
  let rows: [Table: [Row]]
  let place: SourceLocation

  private func expect(_ isKept: Bool, _ law: String, _ what: String) {
    #expect(isKept, Comment(rawValue: "\(law): \(what): \(when)"), sourceLocation: place)
  }

  private func accepts(_ pair: IssuedText, after seconds: Double = 0) -> Bool {
    scenario.server.moment.accepts(key: pair.key, secret: pair.secret, after: seconds)
  }

  /// The reports that came before a request was sent.
  private func before(_ request: RecordedRequest) -> ArraySlice<Timeline.Step> {
    steps[..<(steps.firstIndex { $0.requests >= request.number } ?? steps.endIndex)]
  }

  private var changes: [RecordedRequest] {
    requests.filter { $0.method == "PATCH" || $0.method == "DELETE" || ($0.method == "POST" && !$0.isGrant) }
  }

  /// 1. Each pair had been saved before the request to make it primary.
  func saveBeforeUse() {
    for request in requests where request.method == "PATCH" {
      expect(before(request).contains { $0.event == "staged" }, "law 1, save before use", "PATCH \(request.number)")
    }
    // The vault can open the pair that is primary at the org.
    if let primary = try? scenario.consumer().primary {
      expect(pairs.values.contains { $0.key == primary.key }, "law 1, save before use", "the primary pair")
    }
  }

  /// 2. Each PATCH follows a token granted to the pair beside the primary one. The grant was requested after that pair
  /// was saved, and is at most ten minutes old.
  func proveBeforePromote() {
    for request in requests where request.method == "PATCH" {
      let known = before(request)
      let saved = known.lastIndex { $0.event == "staged" }
      let asked = known.lastIndex { $0.event == "validate.intended" }
      let proved = known.lastIndex { $0.event == "validated" }
      guard let saved, let asked, let proved, saved < asked, asked < proved else {
        expect(false, "law 2, prove before promote", "PATCH \(request.number) has no proof")
        continue
      }
      let proof = requests[known[asked].requests..<known[proved].requests].last { $0.isGrant && $0.acted }
      expect(proof?.isPrimary == false, "law 2, prove before promote", "PATCH \(request.number): another pair's grant")
      let age = proof.map { request.time.timeIntervalSince($0.time) } ?? .infinity
      expect(age <= 600, "law 2, prove before promote", "PATCH \(request.number): a proof of \(age) s")
    }
  }

  /// 3. The vault holds a pair that the provider accepts at this instant. If the provider makes a promoted pair
  /// propagate again, it will accept one without anyone doing anything.
  func neverWithoutAKey() {
    let seconds = scenario.readings.contains("promotionPropagates=true") ? 60.0 : 0
    let isAccepted = pairs.values.contains { accepts($0) } || pairs.values.contains { accepts($0, after: seconds) }
    expect(isAccepted, "law 3, never without a key", "no version is accepted")
  }

  /// 4. Each act follows its intent in the log, with nothing in between.
  func logBeforeRelease() {
    for request in changes {
      let allowed =
        switch request.method {
        case "PATCH": ["promote.intended"]
        case "POST": ["stage.intended"]
        default: ["retire.intended", "discard.intended", "stage.intended", "stage.lost"]
        }
      let last = before(request).last?.event ?? "nothing"
      expect(allowed.contains(last), "law 4, log before release", "\(request.method) after \(last)")
    }
    let first = scenario.timeline.isWhole ? requests.first { !$0.isGrant } : nil
    expect(first.map { !before($0).isEmpty } ?? true, "law 4, log before release", "a request before any entry")
  }

  /// 5. Every pair that was active and is not refused is owed; no pair that is accepted is retired.
  func oldSecretsAreDebts() {
    for version in credential.versions where version.stage == .retired {
      guard let pair = pairs[version.number] else { continue }
      expect(!accepts(pair), "law 5, old secrets are debts", "version \(version.number) is retired and accepted")
    }
    let owed = Set(credential.debts.map(\.number))
    let active = credential.version(in: .active)?.number ?? 0
    for version in credential.versions where version.number < active && version.stage != .retired {
      expect(owed.contains(version.number), "law 5, old secrets are debts", "version \(version.number) is not owed")
    }
  }

  /// 6. No row of the vault holds a secret in the clear, least of all the log.
  func secretsStayWhereTheyBelong() {
    let secrets = scenario.secrets.withLock { $0 }.map { Array($0.utf8) }
    for (table, rows) in rows {
      let all = rows.flatMap { $0.key + $0.value }
      for secret in secrets {
        expect(!all.holds(secret), "law 6, secrets stay where they belong", "table \(table.name)")
      }
    }
  }

  /// 7. A run that was not cut off has given its lease back; a lease older than the newest is worth nothing.
  func oneHandAtATime(died: Bool) async throws {
    let name = "rotation/\(credential.id)"
    let row = rows[.leases]?.first { $0.key == Array(name.utf8) }
    guard let fencing = row.flatMap({ UInt64(bigEndianBytes: $0.value.prefix(8)) }) else { return }
    let holder = try await scenario.store.read { try $0.leaseHolder(of: name) }
    expect(died || holder == nil, "law 7, one hand at a time", "the lease was not given back")
    guard fencing > 1 else { return }
    let older = Lease(name: name, fencing: fencing - 1)
    await #expect(throws: StorageError.self, Comment(rawValue: "law 7, one hand at a time: \(when)")) {
      try await scenario.store.write { try $0.renew(older, now: 0, milliseconds: 1) }
    }
  }

  /// 8. The log verifies, and extends the one that was seen before.
  func provableByOutsiders() async throws {
    _ = try await scenario.logIsIntact()
    let log = (rows[.log] ?? []).map(\.value)
    scenario.remembered.withLock { remembered in
      expect(log.starts(with: remembered), "law 8, provable by outsiders", "the log was rewritten")
      remembered = log
    }
  }

  /// Behind law 5: whenever a schedule would do something, the index of what is due leads to it.
  func nothingDueIsOverlooked() async throws {
    let now = scenario.clock.now()
    let overlooked = try await scenario.store.read { transaction in
      let view = try VaultView(transaction)
      var index = try IndexCheck(view)
      for credential in try view.credentials() { try index.require(credential) }
      try index.finish()
      let schedule = RotationSchedule { TimeZoneRules(named: $0) }
      let journal = try RotationJournal(view, of: credential)
      let known = [journal?.latest, journal?.machine.graceEnds, credential.ageLimit].compactMap(\.self)
      return try (known + [now, now + .seconds(400 * 86_400)]).filter { moment in
        let standing = try schedule.standing(of: credential, journal: journal, in: view, now: moment)
        return try standing.isDue
          && !view.credentials(dueAt: moment).credentials.contains { $0.name == credential.name }
      }
    }
    expect(overlooked.isEmpty, "law 5, old secrets are debts", "what is due at \(overlooked) is overlooked")
  }

  /// 9. Between an act that may have happened and the next one, the org was asked what it has, and it answered.
  func ambiguityIsAState() {
    var seen = false
    var isClearing = false
    for request in requests {
      if request.method == "GET", request.path.hasSuffix("/staged"), request.fault == nil { seen = true }
      guard changes.contains(where: { $0.number == request.number }) else { continue }
      // An expired pair is cleared away under the same look as the staging that needs its place.
      expect(seen || isClearing, "law 9, ambiguity is a state", "\(request.method) \(request.number) without a look")
      isClearing = request.method == "DELETE" && before(request).last?.event == "stage.intended"
      // A request that was refused, with an answer, has changed nothing.
      if request.acted || request.fault.map({ $0 != .sessionEnded }) ?? false { seen = false }
    }
  }
}

extension RecordedRequest {
  fileprivate var isGrant: Bool { path == "/services/oauth2/token" }
}

extension [UInt8] {
  /// Whether it contains `other`, which is not empty.
  fileprivate func holds(_ other: [UInt8]) -> Bool {
    withUnsafeBytes { here in
      var rest = here[...]
      while rest.count >= other.count, let base = rest.baseAddressOfSlice {
        guard let found = memchr(base, Int32(other[0]), rest.count - other.count + 1) else { return false }
        if memcmp(found, other, other.count) == 0 { return true }
        rest = rest.dropFirst(UnsafeRawPointer(found) - base + 1)
      }
      return false
    }
  }
}

extension Slice where Base == UnsafeRawBufferPointer {
  fileprivate var baseAddressOfSlice: UnsafeRawPointer? { UnsafeRawBufferPointer(rebasing: self).baseAddress }
}

extension Result where Success == RotationOutcome {
  var isPromoted: Bool { if case .success(.promoted) = self { true } else { false } }
  var isSettled: Bool { if case .success(.settled) = self { true } else { false } }

  /// The code of the engine's own error; nil for success and for any other error.
  var code: RotationError.Code? { if case .failure(let error) = self { (error as? RotationError)?.code } else { nil } }
}
