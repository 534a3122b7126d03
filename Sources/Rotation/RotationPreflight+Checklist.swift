package import Audit
package import Vault

// What an observation means as lines of a checklist. A plan says what would happen now; a checklist says what is set
// up. So a pair of ours that holds the slot is as it should be.
extension RotationPreflight {
  /// The vault's pairs, in the form that a provider takes.
  package var known: KnownPairs { KnownPairs(of: credential, pairs, isStaging: journal?.machine.state == .staging) }

  /// The active pair and its version; nil if there is none, or it was not opened.
  package var activePair: (number: UInt64, pair: Pair)? { active }

  /// Which pair is the provider's primary one, and what holds the place beside it. If the primary pair is not the
  /// active one, the slot cannot be told: what is there may be ours or a stranger's.
  package func lines(in seen: Observation, now: Timestamp) -> [ChecklistLine] {
    guard let primary = primaryLine(in: seen) else { return [] }
    guard primary.verdict == .ok else {
      return [primary, ChecklistLine(.slot, .cannotTell, "because of primary", because: .primary)]
    }
    return [primary, slotLine(in: seen, now: now)]
  }

  private func primaryLine(in seen: Observation) -> ChecklistLine? {
    guard let active else { return nil }
    if journal?.machine.state == .promoting, let staged = credential.version(in: .staged)?.number,
      let pair = pairs[staged], seen.primary.matches(pair)
    {
      return ChecklistLine(.primary, .ok, "version \(staged) was promoted and is primary: the rotation goes on")
    }
    guard let obstacle = StagingObstacle(primaryOf: seen, active: active.pair, number: active.number) else {
      return ChecklistLine(.primary, .ok, "version \(active.number), the active one, is primary")
    }
    return ChecklistLine(.primary, .missing, obstacle.text, fix: obstacle.hint)
  }

  private func slotLine(in seen: Observation, now: Timestamp) -> ChecklistLine {
    func ok(_ text: String) -> ChecklistLine { ChecklistLine(.slot, .ok, text) }
    let slot = RotationSlot(seen, known: pairs)
    switch slot {
    case .free: return ok("the staging slot is free")
    case .ours(let version, .staged, _):
      return ok("version \(version) is staged: `relatch resume \(credential.name)` goes on with it")
    case .ours(let version, _, let expires) where credential.debts.contains { $0.number == version }:
      guard let graceEnds = journal?.graceEnds(of: credential), graceEnds > now else {
        return ok("version \(version), replaced, holds the staging slot until the next run retires it")
      }
      let end = expires.map { "; the provider ends it at \($0)" } ?? ""
      return ok("version \(version), replaced, holds the staging slot until its grace ends at \(graceEnds)\(end)")
    case .ours, .foreignStaged, .foreignReplaced:
      guard let obstacle = StagingObstacle(slot, of: credential.name) else { return ok("the staging slot is free") }
      let until = obstacle.until.map { obstacle.text.contains("\($0)") ? "" : ", until \($0)" } ?? ""
      return ChecklistLine(.slot, .missing, obstacle.text + until, fix: obstacle.hint)
    }
  }
}
