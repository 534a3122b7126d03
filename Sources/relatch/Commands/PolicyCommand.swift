import ArgumentParser
import JSON
import Storage
import Vault

struct PolicyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "policy", abstract: "Show or change a credential's rules for rotation.",
    discussion: Policy.help)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.")
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
  }
}

extension Policy {
  /// The keys in a column and what they mean beside it, in lines that an ordinary terminal holds: the parser breaks longer ones,
  /// and goes on at the left.
  static let help: String = {
    let width = 2 + (keys.map(\.key.count).max() ?? 0) + 2
    return keys.map { key, meaning in
      var lines = [""]
      for word in meaning.split(separator: " ") {
        let line = lines[lines.count - 1]
        if width + line.count + 1 + word.count < 80 {
          lines[lines.count - 1] = line.isEmpty ? String(word) : "\(line) \(word)"
        } else {
          lines.append(String(word))
        }
      }
      let blank = String(repeating: " ", count: width)
      let first = "  \(key)" + blank.dropFirst(2 + key.count)
      return first + lines.joined(separator: "\n" + blank)
    }.joined(separator: "\n")
  }()
}
