import Foundation
import Synchronization
import Testing

/// The end: nothing is in the way any more, and everything agrees.
extension Soak {
  private typealias Pair = SimulatedOrg.IssuedPair

  private var holder: Actor { transfer.withLock { $0.holder } }

  private func names(_ actor: Actor) -> [String] {
    (actor == .owner ? Self.names : Self.neighbours) + (actor == holder ? ["pass"] : [])
  }

  /// Runs what a person would run until nothing is open. Fails if that takes more than twenty rounds.
  func settle() async throws {
    try await waitForPrograms()
    for _ in 1...40 where transfer.withLock({ $0.stage }) != .held { try await handOverFurther(nil) }
    record.expect(transfer.withLock { $0.stage } == .held, "a transfer does not come to its end")
    for _ in 1...20 {
      var isQuiet = true
      for actor in [Actor.owner, .bo] { isQuiet = try await settle(actor) && isQuiet }
      if isQuiet { return }
    }
    for actor in [Actor.owner, .bo] {
      let status = try await run(["status"], as: actor)
      record.problem("\(actor) is not at rest after twenty rounds: \(status.outputText)\(try shared.marks())")
    }
  }

  /// One round; whether nothing was left to do.
  private func settle(_ actor: Actor) async throws -> Bool {
    var outcomes = [try await run(["resume"], as: actor)]
    let names = actor == .owner ? Self.names : []
    let rotated = names + (actor == holder ? ["pass"] : [])
    if !rotated.isEmpty {
      outcomes.append(try await run(["rotate", "--replace-previous", "--jobs", "8"] + rotated, as: actor))
      try await clearSlots(outcomes[1], as: actor)
      outcomes.append(try await run(["retire"] + rotated, as: actor))
    }
    if actor == .bo {
      // Only a leak is ended beside a pair of another credential.
      outcomes.append(try await run(["revoke"] + Self.neighbours + ["--reason", "soak"], as: actor))
    }
    outcomes.append(try await run(["status", "--json"], as: actor))
    return outcomes.allSatisfy { $0.code == 0 }
  }

  /// A pair that no vault knows may only have been left by a run that a revocation overtook (docs/threat-model.md).
  private func clearSlots(_ rotated: Outcome, as actor: Actor) async throws {
    for line in rotated.errorText.split(separator: "\n") where line.contains("staged pair that is no version of this") {
      guard let name = names(actor).first(where: { line.contains(" \($0): ") }) else { continue }
      let log = try await run(["log", "list", name, "--json"], as: actor)
      let wasOvertaken = try log.objects().contains { $0["overtook"] != nil }
      record.expect(wasOvertaken, "\(name): the org has a pair that the vault does not know: \(line)")
      _ = try await run(["revoke", name, "--reason", "left by an overtaken run"], as: actor)
    }
  }

  /// Waits until no program goes on whose run was killed.
  private func waitForPrograms() async throws {
    for _ in 1...1000 {
      let processes = try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { Int($0) != nil }
      let isAny = processes.contains { process in
        guard let line = try? procFile("/proc/\(process)/cmdline") else { return false }
        return String(decoding: line, as: UTF8.self).contains(place.folder.path)
      }
      if !isAny { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    record.problem("programs that a run had started go on")
  }

  /// Compares the vaults with the org.
  func compare() async throws {
    var pairs: [String: Pair] = [:]
    for actor in [Actor.owner, .bo] {
      for name in names(actor) + ["admin"] {
        let pair = try await active(name, as: actor)
        record.expect(pair != nil, "\(name) has no active pair")
        guard let pair else { continue }
        pairs[name] = pair
        let isAccepted = try await accepts(pair, of: name)
        record.expect(isAccepted, "\(name): the active pair is refused")
      }
    }
    let atOrg = try await org.pairs()
    let ours = Set(pairs.filter { system(of: $0.key) == nil }.values)
    let common = atOrg.intersection(ours).count
    record.expect(
      atOrg == ours, "of \(atOrg.count) pairs at the org and \(ours.count) in the vaults \(common) are alike")
    try record.expect(solo.secrets() == [pairs["solo"]?.secret], "solo: the system has other pairs than the vault")
    let theirs = Set(Self.neighbours.compactMap { pairs[$0]?.secret })
    try record.expect(
      theirs.count == 2 && Set(shared.secrets()) == theirs, "east and west: the system has other pairs than the vault")
    for pair in refused.withLock({ $0 }) {
      let isAccepted = try await org.accepts(pair)
      record.expect(
        try !isAccepted && !solo.secrets().contains(pair.secret), "a pair is accepted that leaked and was refused")
    }
    try compareDeliveries(pairs)
    try await compareStatus()
    try await checkProofs()
    try await searchOutput()
  }

  private func compareDeliveries(_ pairs: [String: Pair]) throws {
    let places = ["crm", "web", "solo"].map { ($0, sink($0)) } + ["erp", "web"].map { ($0, hook($0)) }
    for (name, file) in places {
      let text = FileManager.default.contents(atPath: file).map { String(decoding: $0, as: UTF8.self) }
      record.expect(
        text?.trimmingCharacters(in: .newlines) == pairs[name]?.document, "\(name): \(file) has another pair")
    }
    let files = try FileManager.default.contentsOfDirectory(atPath: teams.path("sinks"))
    record.expect(files.count == 3, "beside the sinks something is left: \(files)")
  }

  /// No lease, debt, leak, exposure or unfinished rotation is left, and no check finds anything in the way.
  private func compareStatus() async throws {
    for actor in [Actor.owner, .bo] {
      let status = try await run(["status", "--json"], as: actor)
      record.expect(status.code == 0, "status: \(status.outputText)")
      for object in try status.objects() where object["type"] as? String == "status" {
        let state = (object["rotation"] as? [String: Any])?["state"] as? String
        let isAtRest = state == nil || state == "settled" || state == "failed"
        let isClear = ["leak", "exposure", "transfer", "undelivered"].allSatisfy { object[$0] == nil }
        let debts = object["debts"] as? [Any]
        record.expect(isAtRest && isClear && debts?.isEmpty == true, "status: \(object)")
      }
      // A neighbour's pair is in the way of all but the end of a leak.
      let planned = names(actor).filter { !Self.neighbours.contains($0) }
      let plan = try await run(["plan", "--json"] + (planned.isEmpty ? ["--due"] : planned), as: actor)
      for object in try plan.objects() where object["type"] as? String == "plan" {
        let findings = object["findings"] as? [[String: Any]]
        let obstacles = findings?.filter { $0["level"] as? String == "obstacle" }
        record.expect(obstacles?.isEmpty == true, "plan: \(object)")
      }
      for arguments in [["log", "verify"], ["incident"]] {
        let outcome = try await run(arguments, as: actor)
        record.expect(outcome.code == 0, "\(arguments): \(outcome.errorText)\(outcome.outputText)")
      }
    }
  }

  /// Between the request that made a pair and the one that made it primary, a token was granted to it.
  private func checkProofs() async throws {
    let contained = try await org.apps()[Self.names.firstIndex(of: Self.contained).map { $0 + 1 } ?? 0].identifier
    var isProved: [String: Bool] = [:]
    var promotions = 0
    for request in try await org.requests() where request.acted {
      guard let app = request.app, app != contained else { continue }
      switch request.method {
      case "POST" where request.path.hasSuffix("/staged"): isProved[app] = false
      case "POST" where request.isPrimary == false: isProved[app] = true
      case "PATCH":
        promotions += 1
        record.expect(isProved[app] == true, "a pair was promoted that had been granted no token")
      default: break
      }
    }
    print("promotions: \(promotions)")
  }

  /// Nothing that was printed holds a secret, but what was asked for one.
  private func searchOutput() async throws {
    let secrets = try await org.issued().map(\.secret) + solo.issued() + shared.issued()
    let search = SecretSearch(
      Dictionary(secrets.enumerated().map { ("secret \($0)", Data($1.utf8)) }, uniquingKeysWith: { $1 }))
    let found = search.findings(in: record.printed, "the output")
    record.expect(found.isEmpty, "\(found)")
    print("secrets searched for: \(secrets.count), in \(record.printed.count) bytes")
  }
}
