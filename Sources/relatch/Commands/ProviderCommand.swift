import ArgumentParser
import Providers
import Rotation

struct ProviderCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "provider", abstract: "What kinds of providers there are, and what each one is like.",
    subcommands: [ProviderListCommand.self, ProviderShowCommand.self])
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
    abstract: "Say what a kind of provider is like: settings, overlap, and what recovers a lost answer."
  )

  @OptionGroup var options: CommonOptions

  @Argument(help: ArgumentHelp("The kind, as `provider list` names it.", valueName: "id"))
  var id: String

  func run() async throws {
    let descriptor = try providerKind(id).descriptor
    try Report(options).result(descriptor.json, text: descriptor.text)
  }
}
