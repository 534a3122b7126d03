import ArgumentParser
import JSON
import SalesforceMetadata
import Vault

struct SalesforceLintCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lint", abstract: "Report what in a project's files stands in the way of the flow or of rotation.",
    discussion: """
      The flow is the client credentials flow. Reads source format and metadata format. Prints each finding with its \
      file and line, and nothing if there is none. A fault ends the command with 78; a note does not. No part of a \
      key or a secret is ever printed.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: ArgumentHelp("The project's folder.", valueName: "dir"), completion: .directory)
  var folder: String

  func run() async throws {
    var folder = folder
    while folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
    let (base, project) = (folder, try MetadataProject(reading: folder))
    let findings = ProjectLint.findings(in: project)
    try Report(options).results(findings, json: \.json) { finding in
      """
      \(Diagnostics.printable("\(base)/\(finding.file)")):\(finding.line): \(finding.level.rawValue): \(finding.text)
        hint: \(finding.hint)
      """
    }
    if findings.contains(where: { $0.level == .fault }) { throw Status(code: .configuration) }
  }
}

extension LintFinding {
  fileprivate var json: JSONValue {
    .object([
      "check": .string(check.rawValue), "file": .string(file), "hint": .string(hint), "level": .string(level.rawValue),
      "line": .integer(line), "text": .string(text), "type": "finding",
    ])
  }
}

extension MetadataError.Code {
  var exitCode: ExitCode {
    switch self {
    case .notFound: .notFound
    case .invalidInput, .tooLarge: .usage
    case .cannotRead: .notFound
    // 78 means that a fault was found.
    case .noReader: .notFound
    }
  }

  var hint: String {
    switch self {
    case .notFound: "name the folder that sfdx-project.json or package.xml is in"
    case .invalidInput: "`relatch help salesforce metadata` says what it takes"
    case .tooLarge: "name the folder that has the app's files, and nothing else"
    case .cannotRead: "check that you may read the folder and its files"
    case .noReader: "install libexpat: `apt-get install libexpat1`"
    }
  }
}
