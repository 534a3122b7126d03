import ArgumentParser
import Audit
import JSON
import Storage
import Vault

struct ListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the credentials, without unlocking anything.")

  @OptionGroup var options: CommonOptions

  func run() async throws {
    let report = Report(options)
    let credentials = try await Places(options).openLocked().read { try $0.credentials() }
    let width = credentials.map(\.name.utf8.count).max() ?? 0
    for credential in credentials {
      let name = credential.name + String(repeating: " ", count: width - credential.name.utf8.count)
      let active = credential.version(in: .active)
      try report.result(
        credential.json(type: "credential"),
        text:
          "\(name)  \(credential.provider)  version \(active?.number ?? 0) since \(active?.since.description ?? "-")"
          + (credential.debts.isEmpty ? "" : "  (\(credential.debts.count) owed)"))
    }
    if credentials.isEmpty { report.note("the vault has no credentials yet: `relatch add` adds one") }
  }
}
