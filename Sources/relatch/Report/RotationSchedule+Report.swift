import Audit
import JSON
import Rotation
import Vault

extension RotationSchedule.Standing {
  /// The standing of `credential` in words for a person; nil without a schedule.
  func text(of credential: Credential, at now: Timestamp) -> String? {
    switch self {
    case .due(let reason): "due now: \(reason.text(of: credential))\(misdating(of: credential, at: now))"
    case .waiting(let until, let reason):
      "due at \(until), in \((until - now).words): \(reason.text(of: credential))\(misdating(of: credential, at: now))"
    case .held(let until, let obstacle):
      "held\(until.map { " until \($0)" } ?? ""): \(obstacle.text)\(misdating(of: credential, at: now))"
    case .unscheduled: nil
    }
  }

  /// What to do if a date that a wrong clock wrote keeps schedules from going on; empty if none does.
  private func misdating(of credential: Credential, at now: Timestamp) -> String {
    let name = credential.name
    switch self {
    // A schedule looks only at what is due by its record.
    case .due(let reason) where credential.due.map { $0 > now } ?? false:
      let command = credential.isTransferred ? "resume" : reason == .delivery ? "deliver" : "rotate"
      return "; but its date is ahead, and no schedule finds it before: `relatch \(command) \(name)` sets it right"
    case .waiting(let until, .debt), .held(.some(let until), .grace):
      let skew = RotationSchedule.maximumClockSkew
      guard !credential.isTransferred, let since = credential.version(in: .active)?.since, since > now + skew,
        until > now + credential.policy.grace + skew
      else { return "" }
      return "; but its date is ahead, from a wrong clock: `relatch retire \(name)` ends the grace"
    default: return ""
    }
  }

  var json: JSONValue {
    switch self {
    case .due(let reason): .object(["reason": .string(reason.rawValue), "standing": "due"])
    case .waiting(let until, let reason):
      .object(["reason": .string(reason.rawValue), "standing": "waiting", "until": .string(until.description)])
    case .held(let until, let obstacle):
      .object(
        obstacle.members.merging(["standing": "held"]) { $1 }
          .merging(until.map { ["until": .string($0.description)] } ?? [:]) { $1 })
    case .unscheduled: .object(["standing": "unscheduled"])
    }
  }
}

extension RotationSchedule.Reason {
  fileprivate func text(of credential: Credential) -> String {
    switch self {
    case .age: "the active pair reaches its max-age"
    case .ending:
      "the provider ends the active pair automatically"
        + (credential.version(in: .active)?.expires.map { " at \($0)" } ?? "")
    case .exposed: credential.exposure?.text ?? "it is exposed"
    case .leaked:
      credential.leak == nil && credential.reach != nil
        ? credential.reach?.words ?? ""
        : "its active pair leaked\(credential.leak.map { ", reported at \($0.since)" } ?? "")"
    case .unfinished: "a rotation is not finished"
    case .debt where credential.isTransferred: "whether the pair that was handed over is refused"
    case .debt: "the grace of the replaced pair is over"
    case .delivery: "a sink or hook lacks the active pair"
    }
  }
}

extension Reach {
  /// In words for a person.
  var text: String { "incident \(incident): \(words)" }

  /// The same without the incident's name.
  var words: String {
    "pairs made since \(since) may have been read with a leaked one of \(by.joined(separator: ", "))"
  }
}

extension Exposure {
  /// In words for a person.
  var text: String {
    "exposed to \(to.joined(separator: ", ")), since \(since)\(to.count > 1 ? " and later" : "")"
  }
}

extension Report {
  /// Notes that `credential` is exposed, if it is.
  func note(exposureOf credential: Credential) {
    guard let exposure = credential.exposure else { return }
    note("\(credential.name) is exposed and due for rotation: \(exposure.text)")
  }
}

extension Transfer {
  /// In words for a person.
  var words: String {
    "version \(version) was handed over at \(since)"
      + (confirmed.map { ", which its recipient confirmed at \($0)" }
        ?? "; no receipt was confirmed, and it may be opened until \(expires)")
  }

  /// The transfer as `--json` shows it.
  var object: JSONValue {
    var members: [String: JSONValue] = [
      "expires": .string(expires.description), "handoff": .string(handoff.description),
      "since": .string(since.description), "version": .integer(Int(clamping: version)),
    ]
    if let confirmed { members["confirmed"] = .string(confirmed.description) }
    if let tried { members["tried"] = .string(tried.description) }
    if let refused { members["refused"] = .string(refused.description) }
    return .object(members)
  }
}

extension RotationSchedule.Obstacle {
  var text: String {
    switch self {
    case .window: "its window is closed"
    case .unknownZone(let zone): "its window names a zone this machine does not know, \(zone)"
    case .together(let name): "\(name), with which it must not rotate together, was rotated or is being rotated"
    case .turn(let name): "\(name), with which it must not rotate together, has been due for longer and goes first"
    case .grace: "the replaced pair is in its grace, and holds the staging slot"
    case .attempts(1): "the last attempt came to nothing"
    case .attempts(let count): "the last \(count) attempts came to nothing"
    case .undelivered: "a sink or hook lacks the active pair and is tried again then"
    case .rejected(1): "the last new pair was refused"
    case .rejected(let count): "the last \(count) new pairs were refused"
    }
  }

  fileprivate var members: [String: JSONValue] {
    switch self {
    case .window: ["obstacle": "window"]
    case .unknownZone(let zone): ["obstacle": "unknown-zone", "zone": .string(zone)]
    case .together(let name): ["obstacle": "together", "with": .string(name)]
    case .turn(let name): ["obstacle": "turn", "with": .string(name)]
    case .grace: ["obstacle": "grace"]
    case .attempts(let count): ["attempts": .integer(count), "obstacle": "attempts"]
    case .undelivered: ["obstacle": "undelivered"]
    case .rejected(let count): ["obstacle": "rejected", "rotations": .integer(count)]
    }
  }
}

extension Int {
  /// `once`, `2 times`.
  var times: String { self == 1 ? "once" : "\(self) times" }
}

extension Duration {
  /// The duration in one unit, rounded, for people: `12d`, `3h`, `40s`.
  var words: String {
    let seconds = max(0, components.seconds)
    for (unit, size) in [("d", 86_400), ("h", 3600), ("m", 60)] as [(String, Int64)] where seconds >= 2 * size {
      return "\((seconds + size / 2) / size)\(unit)"
    }
    return "\(seconds)s"
  }
}
