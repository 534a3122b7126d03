import ArgumentParser
import JSON
import Providers
import Rotation
import Vault

struct PolicyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "policy", abstract: "Show or change a credential's rules for rotation.",
    discussion: """
      \(Policy.help)

      \(HelpText.examples(
        "relatch policy crm",
        "relatch policy crm max-age=90d jitter=10d grace=2d",
        "relatch policy crm 'window=mon-fri 01:00-05:00 Europe/Kyiv'",
        "relatch policy crm max-age=none"))
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  @Argument(help: ArgumentHelp("Rules to change.", valueName: "key=value"))
  var rules: [String] = []

  func run() async throws {
    let changes = try Assignments.parse(rules, option: "policy")
    let places = try Places(options)
    let name = name
    let credential: Credential
    if changes.isEmpty {
      credential = try await places.openLocked().read { try $0.credential(name) }
    } else {
      credential = try await places.openVault().setPolicy(of: name, now: WallClock.now()) { policy in
        for (key, value) in changes { try policy.set(key, to: value) }
        if changes["window"] != nil { try policy.requireKnownZone(of: name) }
      }
    }
    let lines = credential.policy.texts.map { "\($0.key)=\($0.value)" }
    let object = JSONValue.object([
      "credential": .string(name), "policy": credential.policy.json, "type": "policy",
    ])
    let text = lines.joined(separator: "\n")
    let report = Report(options)
    try changes.isEmpty ? report.result(object, text: text) : report.confirmation(object, text: text)
    let idle = changes.isEmpty || credential.policy.maxAge != nil ? [] : ["window", "jitter", "not-together-with"]
    for rule in idle where changes[rule].map({ !["none", "0s"].contains($0) }) ?? false {
      Diagnostics.standard.warning(
        rule == "jitter"
          ? "jitter has no effect without max-age: `relatch policy \(name) max-age=90d` sets one"
          : "without max-age, \(rule) only holds back what is due for another reason, such as an exposed pair:"
            + " `relatch policy \(name) max-age=90d` sets one")
    }
    if changes["grace"] != nil { credential.warnOfLongGrace() }
    if changes["grace"] != nil || changes["max-age"] != nil { credential.warnOfLateRotation() }
    if changes["grace"] != nil, !credential.debts.isEmpty {
      report.note("a grace that already runs is not changed: `relatch status \(name)` says when it ends")
    }
  }
}

extension Credential {
  /// Warns if the schedule cannot keep to the max-age, because the next rotation begins when the grace is over.
  func warnOfLateRotation() {
    guard let maxAge = policy.maxAge, policy.grace >= maxAge else { return }
    Diagnostics.standard.warning(
      "\(name): its grace, \(Policy.text(policy.grace)), is not less than its max-age, \(Policy.text(maxAge)): the next"
        + " rotation waits for the end of the grace")
  }

  /// Warns if the provider ends a replaced pair before the grace is over: anyone who relies on the grace is refused
  /// then.
  func warnOfLongGrace() {
    guard let ends = (try? providerKind(provider))?.descriptor.life.oldPairEnds, policy.grace >= ends else { return }
    Diagnostics.standard.warning(
      "\(name): the replaced pair ends at \(provider) after at most \(Policy.text(ends)), but its grace is"
        + " \(Policy.text(policy.grace)): anyone who still uses it is refused before the grace is over")
  }
}

extension Policy {
  /// The keys and what each means.
  static let help = HelpText.columns(keys.map { (word: $0.key, meaning: $0.meaning) })
}
