import ArgumentParser
import Delivery
import JSON
import Providers
import Rotation
import Vault

struct ProviderCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "provider", abstract: "List the kinds of providers, describe one, or allow its program.",
    subcommands: [ProviderListCommand.self, ProviderShowCommand.self, ProviderAllowCommand.self])
}

struct ProviderListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "List the kinds of providers.")

  @OptionGroup var options: CommonOptions

  func run() async throws {
    let width = providerDescriptors.map { $0.id.utf8.count }.max() ?? 0
    try Report(options).results(providerDescriptors, json: { $0.json }, text: { $0.line(width: width) })
  }
}

struct ProviderShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Describe a kind of provider: settings, overlap, and how lost answers are recovered."
  )

  @OptionGroup var options: CommonOptions

  @Argument(
    help: ArgumentHelp("The kind, as `relatch provider list` names it.", valueName: "id"), completion: .providerID)
  var id: String

  func run() async throws {
    let descriptor = try providerKind(id).descriptor
    try Report(options).result(descriptor.json, text: descriptor.text)
  }
}

struct ProviderAllowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "allow", abstract: "Allow a credential's program to be started on this machine.",
    discussion: """
      A credential of the provider `command` is rotated by a program, which gets its pair. This command allows the \
      program, with the arguments shown, to be started on this machine for this vault, by one line in \
      ~/.config/relatch/programs. If the settings name another program or other arguments, that needs to be allowed \
      again. To withdraw it, delete the line.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  func run() async throws {
    let name = name
    let (credential, vault) = try await Places(options).openLocked().read { view in
      (try view.credential(name), view.header.id)
    }
    guard let arguments = try CommandProvider.program(of: credential) else {
      throw Failure(
        .usage, "\(name) is not rotated by a program: its provider is \(credential.provider)",
        hint: "`relatch show \(name)` prints its settings")
    }
    do { try HookRunner.ofThisProcess.requireTrusted(arguments) } catch {
      throw Failure(
        .configuration, error.description,
        hint: "correct the setting program of \(name): `relatch show \(name)`")
    }
    let list = try ProgramList()
    let isNew = try list.add(arguments, vault)
    try Report(options).confirmation(
      .object([
        "arguments": .array(arguments.map { .string($0) }), "credential": .string(name), "file": .string(list.path),
        "new": .bool(isNew), "type": "program",
      ]),
      text: "\(isNew ? "allowed" : "already allowed"): \(ProgramList.words(arguments))")
  }
}

extension ProviderDescriptor {
  /// Its line in a list of kinds.
  fileprivate func line(width: Int) -> String { id.padded(to: width) + "  " + summary }

  /// The text for a person at a terminal.
  fileprivate var text: String {
    var lines = ["\(id): \(summary)", ""]
    let column = 2 + (facts.map(\.question.count).max() ?? 0)
    lines += facts.map { $0.question.padded(to: column) + $0.answer }
    lines += ["", "settings:"]
    let width = settings.map(\.key.count).max() ?? 0
    lines += settings.map { "  \($0.key.padded(to: width))  \(marked($0))" }
    lines += ["", "documents:"] + documents.map { "  \($0.title)\n    \($0.address)" }
    return lines.joined(separator: "\n")
  }
}
