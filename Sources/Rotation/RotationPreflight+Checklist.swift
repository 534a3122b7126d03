package import Audit
package import Vault

// What an observation means as lines of a checklist. A plan says what would happen now; a checklist says what is set
// up.
extension RotationPreflight {
  /// The vault's pairs, in the form that a provider takes.
  package var known: KnownPairs { KnownPairs(of: credential, pairs, isStaging: journal?.machine.state == .staging) }

  /// The active pair and its version; nil if there is none, or it was not opened.
  package var activePair: (number: UInt64, pair: Pair)? { active }

  /// Which pair is the provider's primary one, and what holds the place beside it. If the primary pair is not the
  /// active one, the slot cannot be told: what is there may be ours or a stranger's.
  package func lines(in seen: Observation, now: Timestamp) -> [ChecklistLine] {
    guard let primary = primaryFinding(in: seen) else { return [] }
    let line = ChecklistLine(.primary, primary)
    guard line.verdict == .ok else {
      return [line, ChecklistLine(.slot, .cannotTell, "because of primary", because: .primary)]
    }
    guard promoted(in: seen) == nil else {
      return [line, ChecklistLine(.slot, .ok, "the staging slot is as the promotion has left it")]
    }
    let slot = RotationSlot(seen, known: pairs)
    let finding = slotFinding(slot, now: now)
    // A replaced pair in its grace is in the way of the next rotation, and is where it should be.
    return [line, owes(slot) ? ChecklistLine(.slot, .ok, finding.text) : ChecklistLine(.slot, finding)]
  }
}

extension ChecklistLine {
  fileprivate init(_ step: ChecklistStep, _ finding: RotationFinding) {
    guard finding.level == .obstacle else {
      self.init(step, .ok, finding.text)
      return
    }
    let until = finding.until.map { finding.text.contains("\($0)") ? "" : ", until \($0)" } ?? ""
    self.init(step, .missing, finding.text + until, fix: finding.hint)
  }
}
