import ArgumentParser

struct SalesforceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "salesforce", abstract: "Describe an app to a Salesforce org, and check such descriptions.",
    subcommands: [SalesforceMetadataCommand.self, SalesforceLintCommand.self])
}
