/// A step of a set-up guide, as one word that does not change: the name of a checklist line.
package struct ChecklistStep: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// Letters, digits and hyphens, as in the machine-readable output.
  package let word: String

  package init(stringLiteral word: String) { self.word = word }

  package var description: String { word }
}

extension ChecklistStep {
  /// The settings are complete and of the form that this kind of provider expects.
  package static let settings: Self = "settings"
  /// The server can be reached and reports no trouble of its own.
  package static let host: Self = "host"
  /// Its certificate is trusted for this name, and the protocol is new enough.
  package static let tls: Self = "tls"
  /// This machine's clock agrees with the provider's.
  package static let clock: Self = "clock"
  /// The provider does not reject requests because there were too many.
  package static let limits: Self = "limits"
  /// The vault's active pair is the client's own.
  package static let pair: Self = "pair"
  /// What the settings name exists and has this pair.
  package static let app: Self = "app"
  /// The administrator's own pair is granted a token.
  package static let admin: Self = "admin"
  /// The administrator may do what a rotation does.
  package static let permissions: Self = "permissions"
  /// The active version is the pair that the provider calls primary.
  package static let primary: Self = "primary"
  /// There is room for a staged pair.
  package static let slot: Self = "slot"
}

/// One line of a checklist: a step, whether it is done, and what fixes it if not.
package struct ChecklistLine: Hashable, Sendable {
  package enum Verdict: String, Sendable {
    case ok
    /// It was checked, and it is not as it must be.
    case missing
    /// It could not be checked, or what was seen is not conclusive.
    case cannotTell = "cannot-tell"
  }

  /// Where a missing step belongs: this decides what a caller can do about it.
  package enum Concern: Sendable {
    /// Somebody must set something up.
    case setup
    /// The provider was not reached, or rejects everybody; the same command may work later.
    case reach
    /// This identity may not open what is in the vault.
    case vault
  }

  package let step: ChecklistStep
  package let verdict: Verdict
  /// What was found, in our own words: never a response body or a secret.
  package let text: String
  /// The step that fixes it, in the words of the guide; only on a missing line.
  package let fix: String?
  /// The line that kept this one from being checked.
  package let because: ChecklistStep?
  package let concern: Concern

  package init(
    _ step: ChecklistStep, _ verdict: Verdict, _ text: String, fix: String? = nil, because: ChecklistStep? = nil,
    concern: Concern = .setup
  ) {
    self.step = step
    self.verdict = verdict
    self.text = text
    self.fix = fix
    self.because = because
    self.concern = concern
  }
}

/// The checklist lines of one credential, in the order of its guide, whatever the order in which they were checked.
///
/// A line that is missing stays missing: what is found about it later is another sign of the same fault.
package struct Checklist: Sendable {
  private var steps: [ChecklistStep]
  private let fixes: [ChecklistStep: String]
  private var found: [ChecklistStep: ChecklistLine] = [:]

  /// `fixes` are this kind of provider's own instructions for fixing a step. A step without one uses the error's hint.
  package init(_ steps: [ChecklistStep], fixes: [ChecklistStep: String]) {
    self.steps = steps
    self.fixes = fixes
  }

  /// All lines. A step about which nothing was found is `cannotTell`.
  package var lines: [ChecklistLine] {
    steps.map { found[$0] ?? ChecklistLine($0, .cannotTell, "it was not checked") }
  }

  package func verdict(of step: ChecklistStep) -> ChecklistLine.Verdict? { found[step]?.verdict }

  /// Notes what was found about one step. A step that is not on the checklist is added at its end if it is missing, and
  /// ignored otherwise.
  package mutating func note(_ line: ChecklistLine) {
    guard found[line.step]?.verdict != .missing else { return }
    if !steps.contains(line.step) {
      guard line.verdict == .missing else { return }
      steps.append(line.step)
    }
    found[line.step] = line
  }

  package mutating func note(_ lines: [ChecklistLine]) {
    for line in lines { note(line) }
  }

  package mutating func pass(_ step: ChecklistStep, _ text: String) { note(ChecklistLine(step, .ok, text)) }

  package mutating func miss(
    _ step: ChecklistStep, _ text: String, fix: String?, concern: ChecklistLine.Concern = .setup
  ) {
    note(ChecklistLine(step, .missing, text, fix: fixes[step] ?? fix, concern: concern))
  }

  /// Notes that `step` cannot be told, and why, unless something was already found about it.
  package mutating func leave(_ step: ChecklistStep, _ text: String) {
    if found[step] == nil { note(ChecklistLine(step, .cannotTell, text)) }
  }

  /// Notes for each of `steps`, or for all of them, that it could not be checked because of another step, unless
  /// something was already found about it.
  package mutating func leave(_ steps: [ChecklistStep]? = nil, because cause: ChecklistStep) {
    for step in steps ?? self.steps where step != cause && found[step] == nil {
      note(ChecklistLine(step, .cannotTell, "because of \(cause)", because: cause))
    }
  }

  /// Replaces what was found about the pair with a note that it cannot be told because of the primary one: it is refused
  /// because it was replaced elsewhere.
  package mutating func excusePair() {
    found[.pair] = nil
    leave([.pair], because: .primary)
  }

  /// Notes the step that `error` is about as missing, and returns it; `step` if the error names none.
  ///
  /// If the vault did not give the pair, the error is the vault's concern.
  @discardableResult
  package mutating func blame(_ error: ProviderError, otherwise step: ChecklistStep? = nil) -> ChecklistStep {
    let step = error.step ?? step ?? Self.step(for: error.code)
    let concern: ChecklistLine.Concern =
      error.local != nil ? .vault : [.unreachable, .limited].contains(error.code) ? .reach : .setup
    let otherwise =
      switch concern {
      case .vault: "an owner can let this identity open it: `relatch grant`"
      case .reach: "run the same command again later"
      case .setup where error.code == .malformed: "something in between may be answering instead of the provider"
      case .setup: "compare the settings (`relatch show`) with what the provider's pages show"
      }
    miss(step, error.description, fix: error.hint ?? otherwise, concern: concern)
    return step
  }

  /// The step that an error is most likely about if it names none.
  private static func step(for code: ProviderError.Code) -> ChecklistStep {
    switch code {
    case .refused: .pair
    case .configuration, .notFound: .app
    case .principal, .notPermitted: .permissions
    case .unreachable, .malformed: .host
    case .limited: .limits
    case .occupied, .operatorNeeded: .slot
    }
  }
}
