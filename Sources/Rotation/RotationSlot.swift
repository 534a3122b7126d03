package import Audit
package import Vault

/// What holds the place beside the provider's primary pair, as far as the next rotation is concerned.
package enum RotationSlot: Hashable, Sendable {
  /// Nothing, or only what the provider itself calls ended, which a run clears away.
  case free
  /// One of the vault's own pairs.
  case ours(version: UInt64, ObservedPair.Place, expires: Timestamp?)
  /// A staged pair that is no version of the credential.
  case foreignStaged(expires: Timestamp?)
  /// A replaced pair that the credential does not owe.
  case foreignReplaced(expires: Timestamp?)

  /// `known` are the vault's pairs that may still be accepted, by version.
  package init(_ seen: Observation, known: [UInt64: Pair]) {
    self = .free
    for other in seen.others {
      let version = known.first { other.matches($0.value) }?.key
      if version == nil, other.isOrphaned { continue }
      switch other.place {
      case .expired, .primary: continue
      case .staged:
        self =
          version.map { .ours(version: $0, .staged, expires: other.expires) } ?? .foreignStaged(expires: other.expires)
      case .replaced:
        self =
          version.map { .ours(version: $0, .replaced, expires: other.expires) }
          ?? .foreignReplaced(expires: other.expires)
      }
      return
    }
  }
}

extension RotationSlot {
  /// What holds the slot, in one word for the log.
  var word: String {
    switch self {
    case .free: "free"
    case .ours(_, let place, _): place.rawValue
    case .foreignStaged: "foreign-staged"
    case .foreignReplaced: "foreign-replaced"
    }
  }
}

extension Observation {
  /// Where `pair`, which is not the primary one, is, as a clause about it.
  func placeDescription(of pair: Pair) -> String {
    guard let other = others.first(where: { $0.matches(pair) }) else { return "which is not there" }
    switch other.place {
    case .primary, .staged: return "which is staged there"
    case .expired: return "which has expired there"
    case .replaced:
      return "which was replaced there and is accepted \(other.expires.map { "until \($0)" } ?? "until it is deleted")"
    }
  }
}

/// What prevents staging a new pair. The engine stops for it and `plan` reports it, both from this one decision.
package struct StagingObstacle: Sendable {
  package let code: RotationError.Code
  package let text: String
  package let hint: String
  /// When it ends automatically, if the provider said so.
  package let until: Timestamp?

  /// Nil if the primary pair is `active`, which is version `number`.
  package init?(primaryOf seen: Observation, active: Pair, number: UInt64) {
    guard !seen.primary.matches(active) else { return nil }
    code = .foreignPrimary
    text = "the provider's primary pair is not version \(number), the active one, \(seen.placeDescription(of: active))"
    hint =
      "someone rotated it elsewhere: `relatch adopt NAME` takes that pair over; or make version \(number) primary again"
    until = nil
  }

  /// Nil if the slot is free.
  package init?(_ slot: RotationSlot, of name: String) {
    switch slot {
    case .free: return nil
    case .foreignReplaced(let expires):
      code = .provider(.occupied)
      text = "a replaced pair holds the staging slot\(expires.map { " until \($0)" } ?? "")"
      hint =
        "\(name) does not owe it: `relatch rotate --replace-previous \(name)` cuts it off, or wait until it expires"
      until = expires
    case .foreignStaged(let expires):
      code = .foreignStagedPair
      text = "a staged pair that is no version of this credential holds the staging slot"
      hint =
        "someone else, or another credential here with the same app, may be rotating it: delete the staged pair at the"
        + " provider if it is nobody's"
      until = expires
    case .ours(let version, let place, let expires):
      code = .provider(.occupied)
      text = "version \(version) holds the staging slot, as a \(place.rawValue) pair"
      hint =
        place == .replaced
        ? "`relatch rotate --replace-previous \(name)` cuts it off, or wait until its grace is over"
        : "`relatch status \(name)` shows the stage of each version"
      until = expires
    }
  }

  init(_ code: RotationError.Code, _ text: String, hint: String, until: Timestamp?) {
    (self.code, self.text, self.hint, self.until) = (code, text, hint, until)
  }

  func error(of name: String) -> RotationError {
    RotationError(code, "\(name): \(text)", hint: hint.replacing(" NAME`", with: " \(name)`"))
  }
}
