import Audit
import JSON
import Rotation
import Transport
import Vault

extension RotationComposition {
  /// Runs each credential in turn. One failure harms no other; the code of a single one is its own, of many 13.
  func runEach(_ names: [String], goal: RotationRunner.Goal, report: Report) async throws {
    var codes: [ExitCode] = []
    var seen: Set<String> = []
    let names = names.filter { seen.insert($0).inserted }
    for name in names {
      do {
        let outcome = try await run(name, goal: goal, report: report)
        codes.append(outcome.exitCode)
        try report.outcome(outcome, of: name)
        if let shortfall = outcome.shortfall(of: name) { report.failure(shortfall, of: name) }
      } catch let error as RotationError where goal == .scheduled && [.held, .notDue].contains(error.code) {
        // Another run has it, or had it a moment ago.
        codes.append(.done)
      } catch let error as RotationError where error.code == .nothingOwed {
        try report.result(
          .object(["credential": .string(name), "outcome": "nothing-owed", "type": "outcome"]), text: "\(error)")
        codes.append(.done)
      } catch {
        let failure = Failure(error)
        report.failure(failure, of: name)
        codes.append(failure.code)
      }
    }
    await transport.shutdown()
    let failed = codes.filter { $0 != .done }
    guard let first = failed.first else { return }
    throw Status(code: names.count == 1 ? first : .someFailed)
  }
}

extension RotationOutcome {
  var exitCode: ExitCode {
    switch self {
    case .promoted, .settled: .done
    case .rejected: .validationFailed
    case .stillAccepted: .debtOutstanding
    }
  }

  /// What is missing from what was asked for, and what to do about it; nil if nothing is.
  fileprivate func shortfall(of name: String) -> Failure? {
    switch self {
    case .promoted, .settled: nil
    case .rejected(let active):
      Failure(
        exitCode, "\(name): the new pair was refused and is removed; version \(active) is still active",
        hint:
          "`relatch log list` has the provider's answer; if new pairs need longer: `relatch policy \(name) propagation=…`"
      )
    case .stillAccepted(let active, let previous):
      Failure(
        exitCode,
        "\(name): version \(active) is active; version \(Self.list(previous)) is deleted and still accepted: a debt",
        hint: "`relatch retire \(name)` tries it again")
    }
  }

  fileprivate static func list(_ versions: [UInt64]) -> String { versions.map(String.init).joined(separator: ", ") }
}

extension Report {
  func outcome(_ outcome: RotationOutcome, of name: String) throws(StreamError) {
    var members: [String: JSONValue] = ["credential": .string(name), "type": "outcome"]
    // What fell short is told as a failure: to people in one place, not in two.
    var text: String?
    switch outcome {
    case .promoted(let active, let previous, let graceEnds):
      text =
        "\(name): version \(active) is active; version \(RotationOutcome.list(previous)) is left alone"
        + " until \(graceEnds), then retired"
      members["active"] = .integer(Int(clamping: active))
      members["grace_ends"] = .string(graceEnds.description)
      members["outcome"] = "promoted"
      members["previous"] = .array(previous.map { .integer(Int(clamping: $0)) })
    case .settled(let active):
      text = "\(name): version \(active) is active; nothing is owed, the replaced pair was seen to be refused"
      members["active"] = .integer(Int(clamping: active))
      members["outcome"] = "settled"
    case .rejected(let active):
      members["active"] = .integer(Int(clamping: active))
      members["outcome"] = "rejected"
    case .stillAccepted(let active, let previous):
      members["active"] = .integer(Int(clamping: active))
      members["outcome"] = "still-accepted"
      members["previous"] = .array(previous.map { .integer(Int(clamping: $0)) })
    }
    if isJSON {
      try result(.object(members), text: "")
    } else if let text {
      try self.text(text)
    }
  }

  func step(_ step: RotationProgress) {
    var members: [String: JSONValue] = [
      "credential": .string(step.credential), "event": .string(step.event),
      "rotation": .integer(Int(clamping: step.rotation)), "time": .string(step.time.description), "type": "step",
    ]
    if let version = step.version { members["version"] = .integer(Int(clamping: version)) }
    progress(.object(members), text: "\(step.time)  \(step.credential)  \(step.sentence)")
  }
}

extension RotationProgress {
  /// The step in words.
  fileprivate var sentence: String {
    let number = version.map(String.init) ?? "?"
    guard let event = RotationEvent(name: event) else {
      return "rotation \(rotation) begins; version \(number) is active"
    }
    return switch event {
    case .intended(.stage): "asking for a new pair"
    case .staged: "version \(number) is staged and saved"
    case .intended(.validate): "asking for a token with version \(number)"
    case .validated: "version \(number) is proved: it was granted a token"
    case .intended(.promote): "asking to make version \(number) primary"
    case .promoted: "version \(number) is promoted: primary at the provider, active in the vault"
    case .intended(.verify): "looking whether version \(number) is primary and granted tokens"
    case .verified: "version \(number) is verified"
    case .intended(.retire): "asking to delete the replaced pair"
    case .deleted: "the replaced pair is deleted at the provider"
    case .intended(.prove): "trying the replaced pair"
    case .refused: "the replaced pair is refused, the active one accepted: nothing is owed"
    case .rejected: "version \(number) is refused: it will not be promoted"
    case .intended(.discard): "asking to delete the staged pair"
    case .discarded: "the staged pair is deleted at the provider"
    case .lost(let step): "the answer to \(step.rawValue) was lost: looking at the provider"
    case .postponed(let step): "\(step.rawValue) did not happen yet"
    case .abandoned: "given up"
    }
  }
}

extension Credential {
  /// The credential as `--json` shows it: all but the pairs.
  func json(type: String) -> JSONValue {
    .object([
      "admin": .string(admin), "created": .string(created.description), "credential": .string(name),
      "policy": policy.json, "provider": .string(provider),
      "settings": .object(settings.mapValues { .string($0) }), "type": .string(type),
      "versions": .array(versions.map(\.json)),
    ])
  }
}
