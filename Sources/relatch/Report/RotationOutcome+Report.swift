import Audit
import JSON
import Rotation
import Vault

extension RotationOutcome {
  var exitCode: ExitCode {
    switch self {
    // What was left at a former place may be accepted there.
    case .settled(_, let elsewhere) where !elsewhere.isEmpty: .debtOutstanding
    case .promoted, .settled, .abandoned, .delivered: .done
    case .rejected: .validationFailed
    case .stillAccepted: .debtOutstanding
    case .handedOver(_, .settled): .done
    case .handedOver: .debtOutstanding
    case .undelivered: .deliveryFailed
    }
  }

  /// The outcome as `--json` has it.
  var word: String {
    switch self {
    case .promoted: "promoted"
    case .settled: "settled"
    case .rejected: "rejected"
    case .abandoned: "abandoned"
    case .stillAccepted: "still-accepted"
    case .undelivered: "undelivered"
    case .delivered: "delivered"
    case .handedOver(_, .settled): "handed-over"
    case .handedOver(_, .accepted): "handed-over-accepted"
    case .handedOver(_, .unconfirmed): "handed-over-unconfirmed"
    case .handedOver(_, .refused): "handed-over-refused"
    }
  }

  /// What the run lacks of what it was to do, and what to do about it; nil if it lacks nothing.
  func shortfall(of name: String, for goal: RotationRunner.Goal? = nil) -> Failure? {
    switch self {
    case .promoted, .settled, .abandoned, .delivered, .handedOver(_, .settled): nil
    case .handedOver(let version, .unconfirmed):
      Failure(
        exitCode, "\(name): version \(version) was handed over and is refused, and no receipt was confirmed: a debt",
        hint:
          "confirm the receipt: `relatch handoff confirm RECEIPT`; or, if nobody opened it: `relatch handoff withdraw \(name)`"
      )
    case .handedOver(let version, .refused(let until)):
      Failure(
        exitCode,
        "\(name): version \(version) was handed over and is refused, which may also be an outage: a debt until it is refused"
          + " again",
        hint: "`relatch resume \(name)` tries it again, and settles it from \(until) on")
    case .handedOver(let version, .accepted):
      Failure(
        exitCode, "\(name): version \(version) was handed over and is still accepted: a debt",
        hint: "its recipient must rotate and retire it; `relatch resume \(name)` tries it again")
    case .rejected(let active, true, let isLeaked):
      Failure(
        exitCode,
        "\(name): the new pair was gone at the provider when it was to be promoted: somebody removed it, or it expired;"
          + " \(Self.stillActive(active, isLeaked: isLeaked))",
        hint: isLeaked
          ? "`relatch resume \(name)` goes on, with another pair"
          : "`relatch rotate \(name)` begins again; find out who removes pairs there")
    case .rejected(let active, false, let isLeaked):
      Failure(
        exitCode,
        "\(name): the new pair was refused and is removed; \(Self.stillActive(active, isLeaked: isLeaked))",
        hint:
          "`relatch log list` has the provider's answer; if new pairs need longer: `relatch policy \(name) propagation=…`;"
          + " if every new pair is refused, the provider grants no token before promotion, so that a pair cannot be proved:"
          + " relatch then promotes none; rotate it at the provider by hand, and `relatch adopt \(name) --stdin` takes it over"
      )
    case .stillAccepted(let active, let previous):
      Failure(
        exitCode,
        "\(name): version \(active) is active; version \(Self.list(previous)) is gone there and still accepted: a debt",
        hint: "`relatch retire \(name)` tries it again; where a person replaces the pair, see on the provider's page"
          + " whether the change was applied")
    case .undelivered(let active, let previous, let shortfalls):
      Failure(
        exitCode,
        Self.shortfall(
          of: name, active, shortfalls.map { "\($0.name): \($0.error)" }, goal, isSettled: previous.isEmpty),
        quoting: Self.shortfall(
          of: name, active, shortfalls.map { "\($0.name): \($0.error)\($0.error.quotation)" }, goal,
          isSettled: previous.isEmpty),
        hint: (Self.hint(of: shortfalls).map { "\($0); then `relatch deliver \(name)`" }
          ?? "`relatch deliver \(name)` tries it again, and so does every later run")
          + (goal == .retire ? "; `relatch retire --undelivered \(name)` does not wait for it" : ""))
    }
  }

  private static func stillActive(_ version: UInt64, isLeaked: Bool) -> String {
    "version \(version)\(isLeaked ? ", which leaked," : "") is still active"
  }

  /// What to do about each of `shortfalls`, with its name if there are several; nil if none says.
  private static func hint(of shortfalls: [DeliveryShortfall]) -> String? {
    let hints = shortfalls.compactMap { fallen in
      fallen.error.hint.map { shortfalls.count == 1 ? $0 : "\(fallen.name): \($0)" }
    }
    return hints.isEmpty ? nil : hints.joined(separator: "; ")
  }

  private static func shortfall(
    of name: String, _ active: UInt64, _ shortfalls: [String], _ goal: RotationRunner.Goal?, isSettled: Bool
  ) -> String {
    let consequence =
      switch goal {
      case .retire: ", so nothing is retired"
      case .revoke where isSettled: " (what leaked was seen to be refused)"
      default: ""
      }
    return "\(name): version \(active) is active and has not arrived everywhere\(consequence): "
      + shortfalls.joined(separator: "; ")
  }

  fileprivate static func list(_ versions: [UInt64]) -> String { versions.map(String.init).joined(separator: ", ") }
}

extension Report {
  /// The error with which standard output refused what `body` writes; nil if it took all.
  func refusal(_ body: () throws(StreamError) -> Void) -> StreamError? {
    do { try body() } catch { return error }
    return nil
  }

  /// Reports an outcome. `isFollowed` says that the next run immediately deals with what this one leaves alone, and
  /// `owed` which versions the end of a leak has left as debts.
  func outcome(
    _ outcome: RotationOutcome, of name: String, isFollowed: Bool = false, owed: [UInt64]
  ) throws(StreamError) {
    var members: [String: JSONValue] = [
      "credential": .string(name), "outcome": .string(outcome.word), "type": "outcome",
    ]
    // A shortfall is reported as a failure, so that people see it in one place and not in two.
    var text: String?
    switch outcome {
    case .promoted(let active, let previous, let graceEnds):
      text =
        "\(name): version \(active) is active"
        + (isFollowed
          ? "" : "; version \(RotationOutcome.list(previous)) is left alone until \(graceEnds), then retired")
      members["active"] = .integer(Int(clamping: active))
      members["grace_ends"] = .string(graceEnds.description)
      members["previous"] = .array(previous.map { .integer(Int(clamping: $0)) })
    case .settled(let active, let elsewhere):
      var line = "\(name): version \(active) is active; "
      if !elsewhere.isEmpty {
        line +=
          "version \(RotationOutcome.list(elsewhere)) was made at a former place and is not known at this one: whether that"
          + " place refuses it, nobody saw"
        members["elsewhere"] = .array(elsewhere.map { .integer(Int(clamping: $0)) })
      } else if owed.isEmpty {
        line += "nothing is owed: the replaced pair was seen to be refused"
      } else {
        line += "what leaked was seen to be refused"
      }
      if !owed.isEmpty { line += "; version \(RotationOutcome.list(owed)) is still owed" }
      text = line
      members["active"] = .integer(Int(clamping: active))
      if !owed.isEmpty { members["previous"] = .array(owed.map { .integer(Int(clamping: $0)) }) }
    case .abandoned(let active):
      text = "\(name): given up; version \(active) is active, and nothing is staged"
      members["active"] = .integer(Int(clamping: active))
    case .rejected(let active, let isGone, _):
      if isGone { members["reason"] = "not-found" }
      members["active"] = .integer(Int(clamping: active))
    case .stillAccepted(let active, let previous):
      members["active"] = .integer(Int(clamping: active))
      members["previous"] = .array(previous.map { .integer(Int(clamping: $0)) })
    case .undelivered(let active, let previous, let shortfalls):
      members["active"] = .integer(Int(clamping: active))
      members["previous"] = .array(previous.map { .integer(Int(clamping: $0)) })
      members["undelivered"] = .array(shortfalls.map(\.json))
    case .delivered(let active, let names):
      text =
        names.isEmpty
        ? "\(name): every sink and hook has version \(active)"
        : "\(name): version \(active) has arrived at \(names.joined(separator: ", "))"
      members["active"] = .integer(Int(clamping: active))
      members["delivered"] = .array(names.map { .string($0) })
    case .handedOver(let version, let pair):
      members["version"] = .integer(Int(clamping: version))
      if pair == .settled {
        text = "\(name): version \(version) was handed over and is seen to be refused; nothing is owed"
      }
    }
    syslog?.outcome(outcome, of: name, text: text ?? outcome.shortfall(of: name)?.message ?? "")
    if isJSON || text != nil { try confirmation(.object(members), text: text ?? "") }
  }

  /// Reports the end of an errand that had nothing to do.
  func outcome(_ word: String, _ nothing: RotationError, of name: String) throws(StreamError) {
    var members: [String: JSONValue] = [
      "credential": .string(name), "outcome": .string(word), "type": "outcome",
    ]
    if case .inGrace(let until) = nothing.code { members["grace_ends"] = .string(until.description) }
    try confirmation(.object(members), text: nothing.description)
  }

  /// Reports how many errands ended in which way, and which failed.
  func summary(_ results: [ErrandResult]) throws(StreamError) {
    let counts = Dictionary(grouping: results, by: \.word).mapValues(\.count).sorted { $0.key < $1.key }
    guard !isJSON else {
      return try result(
        .object([
          "outcomes": .object(Dictionary(uniqueKeysWithValues: counts.map { ($0.key, .integer($0.value)) })),
          "failed": .array(results.filter { $0.code != .done }.map(\.name).sorted().map { .string($0) }),
          "type": "summary",
        ]), text: "")
    }
    note(Table(["OUTCOME", "CREDENTIALS"], counts.map { [$0.key, String($0.value)] }).text)
    let failed = results.filter { $0.code != .done }.sorted { $0.name < $1.name }
    guard !failed.isEmpty else { return }
    note("")
    note(
      Table(["CREDENTIAL", "CODE", "MEANING"], failed.map { [$0.name, "\($0.code.rawValue)", $0.code.meaning] }).text)
  }

  func step(_ step: RotationProgress) {
    syslog?.note(step)
    var members: [String: JSONValue] = [
      "credential": .string(step.credential), "event": .string(step.event),
      "rotation": .integer(Int(clamping: step.rotation)), "time": .string(step.time.description), "type": "step",
    ]
    if let delivery = step.delivery { members["delivery"] = .string(delivery) }
    if let version = step.version { members["version"] = .integer(Int(clamping: version)) }
    progress(.object(members), text: "\(step.time)  \(step.credential)  \(step.sentence)")
  }
}

extension RotationProgress {
  /// The step in words.
  fileprivate var sentence: String {
    // The sentences of steps without a version do not use it.
    let number = version.map(String.init) ?? ""
    if let delivery { return "version \(number) has arrived at \(delivery)" }
    if event == EventName.credentialReconciled.text {
      return "version \(number) is still the provider's primary pair after the restore"
    }
    if event == EventName.pairCutOff.text {
      return "a pair that this vault does not have was found at the provider and deleted (`relatch log list`)"
    }
    if event == EventName.pairNotCutOff.text {
      return "a pair that this vault does not have is listed at the provider, which does not find it when it is to be"
        + " deleted; this is tried again at the end (`relatch log list`)"
    }
    if event == EventName.credentialLeaked.text {
      return version.map { "the leak is noted: versions up to \($0)" }
        ?? "the leak is noted: what leaked had already been seen to be refused"
    }
    guard let event = RotationEvent(name: event) else {
      return "rotation \(rotation) begins; version \(number) is active"
    }
    switch event {
    case .intended(.stage) where isAdopted: return "the provider's primary pair is taken over: it was granted a token"
    case .staged where isAdopted: return "version \(number) is saved: the provider's primary pair"
    case .intended(.promote) where isAdopted: return "checking whether version \(number) is primary"
    case .promoted where isAdopted:
      return "version \(number) is active in the vault, because it is primary at the provider"
    default: break
    }
    return switch event {
    case .intended(.stage): "asking for a new pair"
    case .staged: "version \(number) is staged and saved"
    case .intended(.validate): "asking for a token with version \(number)"
    case .validated: "version \(number) is proved: it was granted a token"
    case .intended(.promote): "asking to make version \(number) primary"
    case .promoted: "version \(number) is promoted: primary at the provider, active in the vault"
    case .intended(.verify): "checking whether version \(number) is primary and granted tokens"
    case .verified: "version \(number) is verified"
    case .intended(.retire): "ending the replaced pair"
    case .deleted: "the replaced pair is no longer shown at the provider"
    case .intended(.prove): "trying the replaced pair"
    case .refused: "the replaced pair is refused here and the active one is accepted: nothing is owed here"
    case .rejected: "version \(number) is refused or gone: it will not be promoted"
    case .intended(.discard): "asking to delete the staged pair"
    case .discarded: "the staged pair is deleted at the provider"
    case .lost(let step): "the outcome of \(step.rawValue) is not known: looking at the provider"
    case .postponed(.stage): "no new pair is saved yet"
    case .postponed(.validate): "the new pair is not proved yet"
    case .postponed(.promote): "the new pair is not promoted yet"
    case .postponed(.verify): "the new pair is not verified yet"
    case .postponed(.retire): "the replaced pair is not deleted yet"
    case .postponed(.prove): "the replaced pair is not seen to be refused yet"
    case .postponed(.discard): "the staged pair is not deleted yet"
    case .abandoned: "given up"
    }
  }
}

extension DeliveryShortfall {
  fileprivate var json: JSONValue {
    var members: [String: JSONValue] = [
      "delivery": .string(name), "error": .string(error.description), "reason": .string(error.code.rawValue),
    ]
    if !error.said.isEmpty { members["said"] = .string(error.said) }
    return .object(members)
  }
}

extension Credential {
  /// The credential as `--json` shows it: everything except the pairs.
  var json: JSONValue {
    var members: [String: JSONValue] = [
      "admin": .string(admin), "created": .string(created.description), "credential": .string(name),
      "policy": policy.json, "provider": .string(provider),
      "settings": .object(settings.mapValues { .string($0) }), "type": "credential",
      "deliveries": .array(deliveries.map { $0.json(of: self) }), "versions": .array(versions.map(\.json)),
    ]
    if let exposure { members["exposure"] = exposure.json }
    if let leak { members["leak"] = leak.json }
    if let reach { members["reach"] = reach.json }
    if !elsewhere.isEmpty { members["elsewhere"] = .array(elsewhere.sorted().map { .integer(Int(clamping: $0)) }) }
    if !policy.tags.isEmpty { members["tags"] = .array(policy.tags.map { .string($0) }) }
    if let transfer { members["transfer"] = transfer.object }
    return .object(members)
  }
}
