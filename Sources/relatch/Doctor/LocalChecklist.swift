import Delivery
import Rotation
import Vault

extension ChecklistStep {
  /// The identity opens the credential.
  static let identity: Self = "identity"
  /// The vault can be written, but not by everybody; its log authenticates; and after a restore it was compared with
  /// the provider.
  static let vault: Self = "vault"
  /// Each sink and hook can do its work, and has the active pair.
  static let delivery: Self = "delivery"
  /// Whether a schedule rotates it, and whether the time zone of its window is known here.
  static let policy: Self = "policy"
}

/// The checklist lines of this machine, the same for every provider. They look at what `plan` looks at.
struct LocalChecklist {
  private let credential: Credential
  private let findings: [RotationFinding]

  init(_ subject: PlanSubject) {
    credential = subject.credential
    findings = LocalCheck.findings(of: subject)
  }

  /// The vault's line, and whether the vault can release a pair: without a log entry nothing is released.
  func vault() -> (line: ChecklistLine, mayRelease: Bool) {
    let findings = findings.filter { [.log, .folder, .disk, .restored].contains($0.check) }
    // That others may write there stops nothing, but must be fixed.
    let obstacles = findings.filter { $0.level == .obstacle || $0.check == .folder }
    let mayRelease = obstacles.allSatisfy { [.restored, .folder].contains($0.check) }
    guard let finding = obstacles.first(where: { $0.check != .restored }) ?? obstacles.first else {
      return (ChecklistLine(.vault, .ok, findings.map(\.text).joined(separator: "; ")), mayRelease)
    }
    return (ChecklistLine(.vault, .missing, finding.text, fix: finding.hint), mayRelease)
  }

  /// Where the pair goes, and when it is replaced. `active` is the active pair, if it was opened.
  func after(active: Pair?, isRotated: Bool) -> [ChecklistLine] {
    var lines: [ChecklistLine] = []
    let isHere = !credential.isTransferred
    if isHere, isRotated || !credential.deliveries.isEmpty { lines.append(delivery(active)) }
    if isRotated { lines.append(policy) }
    return lines
  }

  private func delivery(_ active: Pair?) -> ChecklistLine {
    if let problem = findings.first(where: { $0.check == .delivery && $0.level != .ok }) {
      return ChecklistLine(.delivery, .missing, problem.text, fix: problem.hint)
    }
    let lacking = credential.undelivered.map(\.name)
    guard lacking.isEmpty else {
      return ChecklistLine(
        .delivery, .missing, "the active pair has not arrived at \(lacking.joined(separator: ", "))",
        fix: "`relatch deliver \(credential.name)` tries it again")
    }
    guard !credential.deliveries.isEmpty else {
      return ChecklistLine(.delivery, .ok, "no sinks and no hooks: its users read it from the vault")
    }
    if let active, let drift = LocalCheck.drift(from: active, of: credential) {
      return ChecklistLine(.delivery, .missing, drift.text, fix: drift.hint)
    }
    let names = credential.deliveries.map(\.name).joined(separator: ", ")
    return ChecklistLine(.delivery, .ok, "\(names) can be delivered to")
  }

  private var policy: ChecklistLine {
    if let finding = findings.first(where: { $0.check == .zone }) {
      return ChecklistLine(.policy, .missing, finding.text, fix: finding.hint)
    }
    let rule = "`relatch policy \(credential.name) max-age=90d`"
    guard let age = credential.policy.maxAge else {
      let words = credential.byHand == nil ? "only a person rotates it" : "nobody is reminded to rotate it"
      return ChecklistLine(.policy, .ok, "no max-age: \(words) (\(rule) sets one)")
    }
    let window = credential.policy.window.map { ", \($0.description)" } ?? ", at any time"
    let by = credential.byHand == nil ? "" : "; a person is needed"
    return ChecklistLine(.policy, .ok, "to be rotated every \(Policy.text(age))\(window)\(by)")
  }
}
