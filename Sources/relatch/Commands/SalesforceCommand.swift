import ArgumentParser

struct SalesforceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "salesforce", abstract: "Write the metadata files of a Salesforce app, or check a project's.",
    subcommands: [SalesforceMetadataCommand.self, SalesforceLintCommand.self])
}
