import ArgumentParser
import Delivery
import JSON
import Vault

struct SinkCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sink", abstract: "Add, list and remove files that each promoted pair is written to.",
    subcommands: [SinkAddCommand.self, SinkListCommand.self, SinkRemoveCommand.self])
}

struct SinkAddCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a file that each promoted pair is written to.",
    discussion: """
      The file is replaced as a whole, never half written. Only its owner can read it, and its group if the mode says \
      so. A template has {{client_id}}, {{client_secret}}, {{name}} and {{version}}.

      \(HelpText.examples(
        "relatch sink add crm /etc/crm/pair.json",
        "relatch sink add crm /etc/crm/env --format dotenv --mode 0640",
        "relatch deliver crm                       # the active pair, now"))
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case json
    case dotenv
  }

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  @Argument(help: "The file.", completion: .file())
  var file: String

  @Option(help: "What the file contains (default: json).")
  var format: Format?

  @Option(
    help: ArgumentHelp("A file with placeholders, read at each delivery.", valueName: "file"),
    completion: .file())
  var template: String?

  @Option(
    help: ArgumentHelp(
      "What dotenv's variables begin with (default: the credential's name).", valueName: "prefix"))
  var prefix: String?

  @Option(help: ArgumentHelp("The file's mode, as in 0640; it gives others no rights.", valueName: "mode"))
  var mode = "0600"

  @Option(
    name: .customLong("name"),
    help: ArgumentHelp("The sink's name (default: the file's name).", valueName: "name"))
  var sink: String?

  func run() async throws {
    guard let bits = UInt32(mode, radix: 8) else {
      throw Failure(.usage, "--mode \(Name.printable(mode)): expected octal digits", hint: "write it as in 0640")
    }
    let path = try Paths.absolute(file)
    try OwnFiles(Places(options)).requireNone(at: path, for: "a pair")
    let settings = DeliverySettings(
      name: sink ?? Paths.name(of: path), kind: .file(FileSettings(path: path, format: try chosenFormat(), mode: bits)))
    try await settings.add(to: name, options)
  }

  private func chosenFormat() throws -> FileSettings.Format {
    guard template == nil || format == nil else {
      throw Failure(
        .usage, "--format and --template exclude each other", hint: "give only one: a template is a format of its own")
    }
    guard prefix == nil || format == .dotenv else {
      throw Failure(
        .usage, "--prefix goes with --format dotenv", hint: "leave it out: the other formats have no variables")
    }
    if let template { return .template(path: try Paths.absolute(template)) }
    return format == .dotenv ? .dotenv(prefix: prefix ?? VariableNames.prefix(of: name)) : .json
  }
}

struct SinkListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the sinks of a credential, without unlocking anything.")

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  func run() async throws { try await Deliveries.list(of: name, options) { $0.isFile } }
}

struct SinkRemoveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Remove a sink; its file stays where it is.")

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  @Argument(help: "The sink's name.", completion: .sinkName)
  var sink: String

  func run() async throws { try await Deliveries.remove(sink, from: name, options) { $0.isFile } }
}

/// What the commands of sinks and hooks have in common.
enum Deliveries {
  static func list(
    of name: String, _ options: CommonOptions, where isWanted: @escaping @Sendable (DeliveryRecord) -> Bool
  ) async throws {
    let report = Report(options)
    let credential = try await Places(options).openLocked().read { try $0.credential(name) }
    let wanted = credential.deliveries.filter(isWanted)
    for delivery in wanted {
      try report.result(delivery.object(of: credential), text: delivery.line(of: credential))
    }
    if wanted.isEmpty { report.note("\(name) has none yet") }
  }

  static func remove(
    _ delivery: String, from name: String, _ options: CommonOptions,
    where isWanted: @escaping @Sendable (DeliveryRecord) -> Bool
  ) async throws {
    let vault = try await Places(options).openVault()
    let credential = try await vault.read { try $0.credential(name) }
    guard credential.deliveries.contains(where: { $0.name == delivery && isWanted($0) }) else {
      throw Failure(
        .notFound, "\(name) has no such sink or hook: \(Name.printable(delivery))",
        hint: "`relatch sink list \(name)` and `relatch hook list \(name)` name them")
    }
    let removed = try await vault.removeDelivery(delivery, from: name, now: WallClock.now())
    LocalDelivery.ofThisProcess.sweep(removed)
    try Report(options).result(
      .object(["credential": .string(name), "delivery": .string(delivery), "type": "removed"]),
      text: "\(name): the \(removed.settings.word) \(delivery) is removed"
        + (removed.hasFile ? "; its file stays where it is" : ""))
  }
}

extension DeliverySettings {
  func add(to credential: String, _ options: CommonOptions) async throws {
    try check()
    let vault = try await Places(options).openVault()
    let changed = try await vault.addDelivery(self, to: credential, now: WallClock.now()) { Paths.place(of: $0) }
    guard let added = changed.deliveries.last else { return }
    do { try LocalDelivery.ofThisProcess.check(added) } catch {
      Diagnostics.standard.warning("it cannot work yet: \(error)")
    }
    let report = Report(options)
    try report.result(
      added.object(of: changed), text: "\(credential): \(word) \(added.line(of: changed))")
    if takesPair, !changed.isTransferred {
      report.note("`relatch deliver \(credential)` delivers the active pair now; otherwise it gets the next one")
    }
  }
}

extension DeliveryRecord {
  /// Whether it is a sink and something is in its place.
  fileprivate var hasFile: Bool {
    guard case .file(let file) = settings.kind else { return false }
    return PrivateFile.exists(file.path)
  }

  fileprivate func object(of credential: Credential) -> JSONValue {
    guard case .object(var members) = json(of: credential) else { return json }
    members["credential"] = .string(credential.name)
    members["type"] = "delivery"
    return .object(members)
  }
}
