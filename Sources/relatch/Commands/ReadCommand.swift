import ArgumentParser
import Audit
import JSON
import Sodium
import Synchronization
import Vault

struct ReadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "read", abstract: "Print a pair, or one part of it, after logging the access.")

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  @Option(help: "What to print; pair prints JSON.")
  var field = PairReading.Field.pair

  @Option(
    help: "Which version to print: active, staged or previous.", completion: .list(["active", "staged", "previous"]))
  var stage = "active"

  var reading: PairReading {
    PairReading(settings: options.settings, name: name, field: field, stage: stage)
  }

  func run() async throws { try await reading.run() }
}

/// What `read` does.
struct PairReading: PlainCommand, Equatable {
  enum Field: String, ExpressibleByArgument, CaseIterable {
    case clientID = "client_id"
    case clientSecret = "client_secret"
    case pair
  }

  let settings: CommonSettings
  let name: String
  let field: Field
  let stage: String

  func run() async throws {
    guard let stage = Stage(rawValue: stage), stage != .retired else {
      throw Failure(
        .usage, "--stage \(Name.printable(stage)): expected active, staged or previous",
        hint: "a retired version is never shown; `relatch show \(name)` lists the versions")
    }
    let pairs = try await Places(settings).openVault().released(
      of: name,
      choosing: { credential in
        guard let version = credential.version(in: stage) else {
          throw VaultError(
            .notFound, "\(credential.name) has no \(stage.rawValue) version",
            hint: "`relatch show \(credential.name)` lists those it has")
        }
        return [version]
      }, ["field": .string(field.rawValue)])
    for (_, pair) in pairs { try write(pair) }
  }

  private func write(_ pair: Pair) throws {
    switch field {
    case .clientID: try pair.clientID.withBytes { try StandardStream.output.write($0) }
    case .clientSecret: try pair.clientSecret.withBytes { try StandardStream.output.write($0) }
    case .pair:
      let document = try pair.document()
      try StandardStream.output.write(document.bytes)
    }
    try StandardStream.output.write("\n")
  }
}

extension UnlockedVault {
  /// Opens the chosen versions of `name` to be released, after an entry `pair.read` with `fields`. Warns if they may
  /// have been replaced since the vault was restored from a backup. Throws as `pairs` does.
  func released(
    of name: String, choosing choose: @Sendable (Credential) throws -> [Version], _ fields: [String: JSONValue]
  ) async throws -> [(version: Version, pair: Pair)] {
    let refused = Mutex<Timestamp?>(nil)
    let (restoration, pairs) = try await release(
      of: name,
      choosing: { credential in
        refused.withLock { $0 = credential.transfer?.refused }
        return try choose(credential)
      }, event: .pairRead, fields, now: WallClock.now())
    if let since = refused.withLock({ $0 }) { Self.warn(name, refusedSince: since) }
    if restoration != nil { try await warnUnlessReconciled(name) }
    return pairs
  }

  /// Warns that the pair of `name`, which is released, was handed over and is refused.
  static func warn(_ name: String, refusedSince moment: Timestamp) {
    Diagnostics.standard.warning(
      "\(name): it was handed over, and its pair has been refused since \(moment): ask its holder for another")
  }

  /// Warns if pairs of `name`, which are released, may have been replaced since the vault was restored from a backup.
  func warnUnlessReconciled(_ name: String) async throws {
    // A credential that Relatch cannot rotate cannot be compared.
    guard
      let restoration = try await read({ view in
        let credential = try view.credential(name)
        return try credential.canRotate ? view.restoration(unreconciled: credential) : nil
      })
    else { return }
    Diagnostics.standard.warning(
      "\(name): the vault was restored from a backup whose log ends at \(restoration.last), and this was not compared with the"
        + " provider since: the pair may have been replaced; `relatch resume \(name)` compares it")
  }
}

extension PairReading {
  init?(plain arguments: ArraySlice<String>) {
    guard let plain = PlainArguments(arguments, options: ["--field", "--stage"]), let name = plain.words.first,
      plain.words.count == 1, let field = plain.value(of: "--field").map(Field.init(rawValue:)) ?? .pair
    else { return nil }
    self.init(settings: plain.settings, name: name, field: field, stage: plain.value(of: "--stage") ?? "active")
  }
}
