/// A step of a set-up guide, as one word that does not change: the name of a line of a checklist.
package struct ChecklistStep: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// Letters, digits and hyphens, as the output for programs has it.
  package let word: String

  package init(stringLiteral word: String) { self.word = word }

  package var description: String { word }
}

extension ChecklistStep {
  /// The settings are complete, and of the form that this kind of provider wants.
  package static let settings: Self = "settings"
  /// The server is reached, and not in trouble.
  package static let host: Self = "host"
  /// Its certificate is trusted, for this name, and the protocol is new enough.
  package static let tls: Self = "tls"
  /// This machine's clock agrees with the provider's.
  package static let clock: Self = "clock"
  /// The provider does not turn requests away because there were too many.
  package static let limits: Self = "limits"
  /// The vault's active pair is the client's.
  package static let pair: Self = "pair"
  /// What the settings name is there, and has this pair.
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

/// One line of a checklist: a step, whether it was done, and what mends it if not.
package struct ChecklistLine: Hashable, Sendable {
  package enum Verdict: String, Sendable {
    case ok
    /// It was looked at, and it is not as it must be.
    case missing
    /// It could not be looked at, or what was seen does not tell.
    case cannotTell = "cannot-tell"
  }

  /// Whose a missing step is: what a caller can do about it depends on that.
  package enum Concern: Sendable {
    /// Somebody must set something up.
    case setup
    /// The provider was not reached, or turns everybody away; the same may go well later.
    case reach
    /// This identity may not open what is in the vault.
    case vault
  }

  package let step: ChecklistStep
  package let verdict: Verdict
  /// What was found, in words of ours: never a response body or a secret.
  package let text: String
  /// The step that mends it, in the words of the guide; of a missing line alone.
  package let mend: String?
  /// The line that kept this one from being looked at.
  package let because: ChecklistStep?
  package let concern: Concern

  package init(
    _ step: ChecklistStep, _ verdict: Verdict, _ text: String, mend: String? = nil, because: ChecklistStep? = nil,
    concern: Concern = .setup
  ) {
    self.step = step
    self.verdict = verdict
    self.text = text
    self.mend = mend
    self.because = because
    self.concern = concern
  }
}

/// The lines of one credential as they are found out, in the order of its guide whatever the order of looking.
///
/// A line that is missing stays missing: what is found of it later is another sign of the same fault.
package struct Checklist: Sendable {
  private var steps: [ChecklistStep]
  private let mends: [ChecklistStep: String]
  private var found: [ChecklistStep: ChecklistLine] = [:]

  /// `mends` are this kind of provider's own words for what mends a step; where there are none, an error's hint is.
  package init(_ steps: [ChecklistStep], mends: [ChecklistStep: String] = [:]) {
    self.steps = steps
    self.mends = mends
  }

  /// All lines. One of which nothing was found out cannot be told.
  package var lines: [ChecklistLine] {
    steps.map { found[$0] ?? ChecklistLine($0, .cannotTell, "it was not looked at") }
  }

  package func verdict(of step: ChecklistStep) -> ChecklistLine.Verdict? { found[step]?.verdict }

  /// Notes what was found of one step. A step that the checklist does not have is put at its end if it is missing.
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
    _ step: ChecklistStep, _ text: String, mend: String?, concern: ChecklistLine.Concern = .setup
  ) {
    note(ChecklistLine(step, .missing, text, mend: mends[step] ?? mend, concern: concern))
  }

  /// Notes that `step` cannot be told, and why, if nothing was found out of it yet.
  package mutating func leave(_ step: ChecklistStep, _ text: String) {
    if found[step] == nil { note(ChecklistLine(step, .cannotTell, text)) }
  }

  /// Notes of each of `steps`, or of all there are, that it could not be looked at because of another, if nothing was found
  /// out of it yet.
  package mutating func leave(_ steps: [ChecklistStep]? = nil, because cause: ChecklistStep) {
    for step in steps ?? self.steps where step != cause && found[step] == nil {
      note(ChecklistLine(step, .cannotTell, "because of \(cause)", because: cause))
    }
  }

  /// Notes that `step` is no fault of its own, whatever was found of it: another one is behind it.
  package mutating func excuse(_ step: ChecklistStep, because cause: ChecklistStep) {
    found[step] = nil
    leave([step], because: cause)
  }

  /// Notes the step that `error` is about as missing, and returns it; `step` where the error does not say.
  ///
  /// What went wrong on this side, with a pair that the vault did not give, is the vault's concern.
  @discardableResult
  package mutating func blame(_ error: ProviderError, otherwise step: ChecklistStep? = nil) -> ChecklistStep {
    let step = error.step ?? step ?? Self.step(for: error.code)
    let concern: ChecklistLine.Concern =
      error.local != nil ? .vault : [.unreachable, .limited].contains(error.code) ? .reach : .setup
    let otherwise =
      switch concern {
      case .vault: "an owner lets this identity open it: `relatch grant`"
      case .reach: "run the same command again later"
      case .setup where error.code == .malformed: "something on the way may be answering in the provider's place"
      case .setup: "compare the settings (`relatch show`) with what the provider's pages show"
      }
    miss(step, error.description, mend: error.hint ?? otherwise, concern: concern)
    return step
  }

  /// The step that an error without one is most likely about.
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
