import ArgumentParser
import Rotation
import Vault

struct ShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show all that is known about one credential, without unlocking anything.")

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  func run() async throws {
    let name = name
    let (credential, journal) = try await Places(options).openLocked().read { view in
      let credential = try view.credential(name)
      return (credential, try RotationJournal(view, of: credential))
    }
    var lines = [
      "name      \(credential.name)", "provider  \(credential.provider)",
      "admin     \(credential.isSelfAdministered ? "self" : credential.admin)", "added     \(credential.created)",
    ]
    lines += credential.settings.sorted { $0.key < $1.key }.map { "setting   \($0.key)=\($0.value)" }
    lines += credential.policy.texts.map { "policy    \($0.key)=\($0.value)" }
    if let exposure = credential.exposure {
      lines.append("exposed   versions up to \(exposure.version): \(exposure.text)")
    }
    if let leak = credential.leak {
      lines.append("leaked    versions up to \(leak.version): incident \(leak.incident), reported at \(leak.since)")
    }
    if let reach = credential.reach { lines.append("reached   \(reach.text)") }
    lines += credential.versions.map { version in
      "version   \(version.number) \(version.stage.rawValue) since \(version.since)"
        + (credential.elsewhere.contains(version.number) ? ", made at a former place" : "")
        // A retired version was seen to be refused: the provider has nothing left to end.
        + (version.stage == .retired ? "" : version.expires.map { ", the provider ends it at \($0)" } ?? "")
    }
    if let transfer = credential.transfer { lines.append("handoff   \(transfer.words)") }
    if let journal, !journal.machine.state.isFinal {
      lines.append("rotation  \(journal.number) \(journal.machine.state.rawValue) since \(journal.latest)")
    }
    lines += credential.deliveries.map { delivery in
      "\(delivery.settings.word) ".padded(to: 10) + delivery.line(of: credential)
    }
    try Report(options).result(credential.json, text: lines.joined(separator: "\n"))
  }
}
