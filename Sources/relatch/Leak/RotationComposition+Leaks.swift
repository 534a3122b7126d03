import Audit
import JSON
import Rotation
import Vault

extension RotationComposition {
  /// Ends `leaks`, administrators first, and reports what is left to be done.
  func end(
    _ leaks: [LeakedVersion], trying found: [FoundVersion] = [], jobs: Int, _ report: Report,
    as revocation: @Sendable (UInt64?) -> Revocation
  ) async throws {
    let foundBy = Dictionary(grouping: found, by: \.credential)
    for line in try await vault.read({ leaks.continuedLeakNotes(in: $0) }) { report.note(line) }
    let report = report.of(runs: leaks.count)
    let revocations = try await noting(
      Dictionary(leaks.map { ($0.credential, revocation($0.version)) }) { $1 }, report)
    let errands = leaks.compactMap { leak in
      revocations[leak.credential].map {
        Errand(name: leak.credential, goal: .revoke($0), found: foundBy[leak.credential] ?? [])
      }
    }
    let result: Result<Void, any Error>
    do {
      let ordered = try await vault.read { errands.ordered(in: $0) }
      result = .success(try await runEach(ordered, jobs: jobs, report: report))
    } catch { result = .failure(error) }
    // What follows only reports. No error there may hide how the runs ended.
    do {
      try await reportLeft(of: leaks.map(\.credential), report)
      try report.tell(try await vault.read { try leaks.reach(in: $0) }, afterRuns: true)
    } catch { report.failure(Failure(error)) }
    for version in found where version.isBack { report.failure(Failure(back: version), of: version.credential) }
    for version in found where version.isUnknown { report.failure(Failure(unknown: version), of: version.credential) }
    try result.get()
    if found.contains(where: \.isBack) { throw Status(code: .debtOutstanding) }
    if found.contains(where: \.isUnknown) { throw Status(code: .providerUnreachable) }
  }

  /// Notes the leaks before the first is ended, so that none is forgotten if this process dies. A single one is noted as
  /// its run begins. If that fails, as on a full disk, each is noted, or fails, in its own run.
  private func noting(_ leaks: [String: Revocation], _ report: Report) async throws -> [String: Revocation] {
    guard leaks.count > 1, let noted = try? await runner(reporting: report).note(leaks) else { return leaks }
    return Dictionary(
      uniqueKeysWithValues: leaks.map { name, revocation in
        var revocation = revocation
        revocation.isNoted = noted.contains(name)
        return (name, revocation)
      })
  }

  /// Reports what is left to be done, with its countdown.
  private func reportLeft(of names: [String], _ report: Report) async throws {
    let now = WallClock.now()
    let left = try await vault.read { view in
      // What cannot be read was reported by its own run, and must not hide the others.
      names.compactMap { try? OwedLeak(of: view.credential($0), in: view, now: now) }
    }
    for left in left { try report.result(left.json, text: left.text(now)) }
  }
}

// What a revocation could not do yet.
extension OwedLeak {
  /// The newest version that leaked and may be accepted, and when the provider itself ends it.
  private var accepted: (number: UInt64, expires: Timestamp?) {
    guard let debt = credential.leakedDebts.last, !credential.isActiveLeaked else {
      return (credential.version(in: .active)?.number ?? 0, nil)
    }
    return (debt.number, debt.expires)
  }

  fileprivate func text(_ now: Timestamp) -> String {
    let (number, expires) = accepted
    var line = "\(credential.name): owed: version \(number) leaked and has not been seen to be refused"
    line += expires.map { Self.text(expires: $0, at: now) } ?? ""
    if let missing = credential.missingToRotate {
      let name = credential.name
      return line + "; without the setting \(missing) Relatch cannot replace it: run"
        + " `relatch settings \(name) \(missing)=…`, then `relatch resume \(name)`; docs/leak.md says how to do without"
    }
    guard !waitsForPerson else {
      return line + "; a person must end it: `relatch resume \(credential.name)` at a terminal"
    }
    guard let next else { return line + "; `relatch resume \(credential.name)` tries it again" }
    return line + Self.text(next: next, at: now) + ", or by `relatch resume \(credential.name)`"
  }

  fileprivate var json: JSONValue {
    let (number, expires) = accepted
    var members: [String: JSONValue] = [
      "credential": .string(credential.name), "incident": .string(leak.incident), "type": "owed",
      "version": .integer(Int(clamping: number)),
    ]
    if let next { members["next_attempt"] = .string(next.description) }
    if let expires { members["expires"] = .string(expires.description) }
    return .object(members)
  }
}

extension Failure {
  fileprivate init(back version: FoundVersion) {
    self.init(
      .debtOutstanding,
      "\(version.credential): the provider accepts version \(version.number), which leaked and was seen to be refused before",
      hint: "delete it at the provider by hand; then run the same command again, until it is refused")
  }

  fileprivate init(unknown version: FoundVersion) {
    self.init(
      .providerUnreachable,
      "\(version.credential): whether the provider accepts version \(version.number), which leaked and was seen to be"
        + " refused before, is not known",
      hint: version.isElsewhere
        ? "delete it by hand at the place that the settings named when it was made (`relatch log list \(version.credential)`)"
        : "nothing is lost: run the same command again later")
  }
}
