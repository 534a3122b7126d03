import ArgumentParser
import Glibc
import JSON
import SalesforceMetadata
import Vault

struct SalesforceMetadataCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "metadata", abstract: "Write the files that create an app in an org, ready to be deployed.",
    discussion: """
      The app gets the client credentials flow, enabled in both places that need it, and a run-as user. The org makes \
      its key and secret, which are in none of the files. The files describe a new app: deployed over an existing \
      one, they replace what it had.
      """)

  @OptionGroup var options: CommonOptions

  @Option(help: ArgumentHelp("The app's API name.", valueName: "name"))
  var app: String

  @Option(help: ArgumentHelp("The user name that the app acts as.", valueName: "user"))
  var runAs: String

  @Flag(help: "Describe a connected app, if the org still allows one, instead of an external client app.")
  var connectedApp = false

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The folder to write, which must not exist (default: the app's name).", valueName: "dir"),
    completion: .directory)
  var output: String?

  @Option(
    name: .customLong("scope"),
    help: ArgumentHelp(
      "A scope, as metadata or OAuth writes it; repeatable (default: api).", valueName: "scope"))
  var scopes: [String] = []

  @Option(
    help: ArgumentHelp(
      "Only users with this permission set may use the app; the run-as user needs it, too.", valueName: "name"))
  var permissionSet: String?

  @Option(help: ArgumentHelp("The app's contact (default: the run-as user).", valueName: "e-mail"))
  var contact: String?

  @Option(help: ArgumentHelp("The app's callback, which this flow never uses.", valueName: "url"))
  var callback = AppMetadata.unusedCallback

  @Option(help: "source, as in sf projects, or metadata, as the Metadata API takes it.")
  var format = FileFormat.source

  @Flag(help: "Enable the flow in ExtlClntAppConfigurablePolicies, too, as older guides say.")
  var olderNames = false

  @Flag(help: "Deploy the files with the sf program, which replaces this command.")
  var deploy = false

  @Option(help: ArgumentHelp("The org to deploy to, as sf knows it (default: sf's default org).", valueName: "org"))
  var targetOrg: String?

  enum FileFormat: String, ExpressibleByArgument, CaseIterable {
    case source
    case metadata
  }

  func validate() throws {
    guard deploy || targetOrg == nil else { throw ValidationError("--target-org goes with --deploy") }
    guard !connectedApp || !olderNames else { throw ValidationError("a connected app has no --older-names") }
    // sf would take it for an option.
    guard targetOrg?.hasPrefix("-") != true else { throw ValidationError("--target-org: expected a name of an org") }
  }

  func run() async throws {
    let description = try AppMetadata(
      connectedApp ? .connectedApp : .externalClientApp, name: app, runAs: runAs, contact: contact ?? runAs,
      scopes: scopes.isEmpty ? ["Api"] : scopes, permissionSet: permissionSet, callback: callback,
      usesOlderPlacement: olderNames)
    let program = try deploy ? deployment() : nil
    let folder = output ?? app
    let files = description.files(format == .source ? .source : .metadata)
    try MetadataFolder(folder).write(files)
    let report = Report(options)
    if let program {
      report.note("wrote \(files.count) files to \(Name.printable(folder)); sf deploys them")
      try program.run(in: folder)
    }
    try report.confirmation(
      .object([
        "app": .string(app), "files": .array(files.map { .string($0.path) }), "folder": .string(folder),
        "type": "metadata",
      ]),
      text: files.map { "\(folder)/\($0.path)" }.joined(separator: "\n"))
    report.note(
      "deploy them: cd '\(Diagnostics.printable(folder).replacing("'", with: #"'\''"#))' && sf project deploy start \(deploymentOptions.joined(separator: " "))"
    )
  }

  private var deploymentOptions: [String] {
    format == .source ? ["--manifest", "package.xml"] : ["--metadata-dir", "."]
  }

  /// The program that deploys. Its arguments hold no secret: the files hold none, and sf has its own log-in.
  private func deployment() throws -> ProgramReplacement {
    var arguments = ["sf", "project", "deploy", "start"] + deploymentOptions
    if let targetOrg { arguments += ["--target-org", targetOrg] }
    if options.json { arguments.append("--json") }
    do { return try ProgramReplacement(arguments) } catch let failure as Failure where failure.code == .notFound {
      throw Failure(
        .notFound, "--deploy: the sf program is not in PATH",
        hint: "install the Salesforce CLI, or leave --deploy out and deploy the files elsewhere")
    }
  }
}

/// A new folder for files that are not secret.
private struct MetadataFolder {
  let path: String

  init(_ path: String) { self.path = path }

  func write(_ files: [AppMetadata.File]) throws {
    guard !path.isEmpty, !path.utf8.contains(0), !PrivateFile.exists(path) else {
      throw Failure(
        .usage, "cannot write \(Name.printable(path)): it already exists",
        hint: "name a folder that does not exist")
    }
    try make(path)
    var made: Set<String> = []
    for file in files {
      var folder = path
      for part in file.path.split(separator: "/").dropLast() {
        folder += "/\(part)"
        if made.insert(folder).inserted { try make(folder) }
      }
      try PrivateFile.create("\(path)/\(file.path)", Array(file.text.utf8).span.bytes)
    }
  }

  private func make(_ folder: String) throws {
    guard mkdir(folder, 0o700) == 0 else {
      throw Failure(
        .cannotWrite, "cannot create the folder \(Name.printable(folder)): \(Errno.text)",
        hint: "name a folder that you can write to: -o DIR")
    }
  }
}
