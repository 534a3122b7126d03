import JSON
import OAuth
package import Rotation
import Sodium
import Synchronization
package import Transport
package import Vault

/// A system that a program speaks for: docs/providers/command-contract.md.
///
/// The program recognises the vault's pairs, or shows their secrets. As with every provider, a pair is observed and
/// recognised before it is deleted. The program's exit code says whether it acted; if that is not known, it is asked
/// what there is.
package struct CommandProvider: ProviderKind, PrimaryReader, TokenIssuer {
  package static let descriptor = CommandSettings.descriptor

  private let settings: CommandSettings
  private let arguments: [String]
  private let admin: AdminAccess
  private let transport: any HTTPTransport
  private let administrator = Administrator()

  package var replacement: Replacement { settings.replacement }

  package var marksOwnPairs: Bool { replacement != .cutOver }

  package static func mayAdministerItself(_ settings: [String: String]) -> Bool {
    (try? CommandSettings(settings))?.replacement != .cutOver
  }

  package static var clientSettings: [String] { ["program", "arguments"] }

  /// A token endpoint may prove what a program rotates, or the program itself may.
  package static func pairPlace(_ settings: [String: String]) -> PairPlace {
    let program = settings["program"] == nil ? [] : [descriptor.id]
    // A program may also go by the client_id.
    return pairPlace(
      settings, servers: program + [settings["token-url"]].compactMap(\.self), family: descriptor.id, namesClient: false
    )
  }

  package static func check(_ settings: [String: String]) throws(ProviderError) { _ = try CommandSettings(settings) }

  package static func replacement(by settings: [String: String]) -> Replacement? {
    (try? CommandSettings(settings))?.replacement
  }

  package init(
    settings: [String: String], admin: AdminAccess, transport: any HTTPTransport
  ) throws(ProviderError) {
    self.settings = try CommandSettings(settings)
    arguments = try Self.descriptor.needed("program", self.settings.arguments)
    if self.settings.replacement == .cutOver { try admin.requireAnother() }
    self.admin = admin
    self.transport = transport
  }

  /// The program that is started for `credential`, with its arguments; nil if there is none. Throws `configuration` if
  /// the settings cannot work.
  package static func program(of credential: Credential) throws(ProviderError) -> [String]? {
    guard credential.provider == descriptor.id else { return nil }
    return try CommandSettings(credential.settings).arguments
  }

  /// The pair that the program receives to work with, opened once.
  private final class Administrator: Sendable {
    let pair = Mutex<Pair?>(nil)
  }

  // MARK: - Operations

  package func observe(known: KnownPairs) async throws(ProviderError) -> Observation {
    var request = try CommandRequest(.observe, admin: try await administratingPair(), key: known.attempt)
    try request.add(known)
    let answer = try await ask(request)
    if let error = try answer.error() { throw unexpected(error, request.operation) }
    let said = try answer.replacement()
    guard said == replacement else {
      throw ProviderError(
        .configuration,
        "the program declares replacement \(said.rawValue), but setting replacement is"
          + " \(replacement.rawValue)",
        hint: "see docs/providers/command-contract.md, or agree with the program: `relatch settings NAME"
          + " replacement=\(said.rawValue)`",
        step: .settings)
    }
    return try CommandObservation(answer.pairs(known: known.all.count), known, replacement).observation
  }

  package func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    // An observation's consumer is the key of the rotation that it was made for.
    var request = try CommandRequest(.stage, admin: try await administratingPair(), key: observation.consumer)
    try request.add("primary", observation.primary)
    let answer = try await ask(request)
    if let error = try answer.error() {
      guard error == "occupied" else { throw unexpected(error, request.operation) }
      throw ProviderError(.occupied, "the program says that the system has no place for another pair")
    }
    let made = try answer.made()
    guard let id = made.clientID, let secret = made.clientSecret else {
      throw ProviderError(
        .malformed, "the program's answer to stage lacks client_id or client_secret", mayHaveActed: true)
    }
    guard replacement == .cutOver || made.handle != nil else {
      throw ProviderError(.malformed, "the program's answer to stage has no handle", mayHaveActed: true)
    }
    // A key that was used before must not bring back a pair that the vault is about to retire.
    let isOld = ([observation.primary] + observation.others).contains { seen in
      seen.clientID.secret.isEqual(to: id.secret) && seen.clientSecret?.secret.isEqual(to: secret.secret) == true
    }
    guard !isOld else {
      throw ProviderError(
        .configuration, "the program answered stage with a pair that existed before: it is not promoted",
        hint: "let the program make a new pair for each new key: see docs/providers/command-contract.md")
    }
    guard replacement != .cutOver || id.secret.isEqual(to: observation.primary.clientID.secret) else {
      throw ProviderError(
        .malformed, "the program's answer to stage has another client_id, which cut-over does not allow",
        mayHaveActed: true)
    }
    // With the handle of another pair, deleting this one would delete that one.
    let isTaken = ([observation.primary] + observation.others).contains { seen in
      !seen.handle.isEmpty && seen.handle == made.handle
        && !(seen.isMarked && seen.clientID.secret.isEqual(to: id.secret))
    }
    guard !isTaken || replacement == .cutOver else {
      throw ProviderError(
        .malformed, "the program's answer to stage has the handle of another pair", mayHaveActed: true)
    }
    return ObservedPair(
      place: .staged, handle: replacement == .cutOver ? "" : made.handle ?? "", clientID: id, clientSecret: secret,
      expires: made.expires, sharesClientID: true, isMarked: replacement != .cutOver)
  }

  package func promote(handle: String, _ observation: Observation) async throws(ProviderError) {
    guard replacement == .promotion else { return }
    try await act(.promote, handle, observation)
  }

  package func delete(handle: String, _ observation: Observation) async throws(ProviderError) {
    try await act(.delete, handle, observation)
  }

  private func act(
    _ operation: CommandRequest.Operation, _ handle: String, _ observation: Observation
  ) async throws(ProviderError) {
    guard let seen = observation.others.first(where: { $0.handle == handle && !handle.isEmpty }) else {
      throw ProviderError(.configuration, "there is no pair \(Name.printable(handle)) to \(operation.rawValue)")
    }
    var request = try CommandRequest(operation, admin: try await administratingPair())
    try request.add("pair", seen)
    let answer = try await ask(request)
    guard let error = try answer.error() else { return }
    guard error == "not-found" else { throw unexpected(error, operation) }
    throw ProviderError(.notFound, "the program says that the system has no such pair")
  }

  package func grant(_ pair: Pair, overNewConnection: Bool) async throws(ProviderError) -> GrantEvidence {
    if let credentials = settings.credentials {
      return try await credentials.grant(pair, over: transport, overNewConnection: overNewConnection)
    }
    var request = try CommandRequest(.grant)
    try request.add("pair", pair)
    let answer = try await ask(request)
    guard let error = try answer.error() else { return GrantEvidence(status: try answer.granted(), signature: .absent) }
    guard error == "refused" else { throw unexpected(error, request.operation) }
    throw ProviderError(.refused, "the program says that the pair is refused", status: try answer.status())
  }

  package static func token(
    for pair: Pair, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) -> IssuedToken {
    try requireTokens(settings)
    return try await ClientCredentials(settings).issue(pair, over: transport)
  }

  package func readPrimary(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    observation.primary
  }

  package func administer(with pair: Pair) async { administrator.pair.withLock { $0 = pair } }

  // MARK: - The program

  private func administratingPair() async throws(ProviderError) -> Pair {
    if let pair = administrator.pair.withLock({ $0 }) { return pair }
    do {
      let pair = try await admin.pair()
      administrator.pair.withLock { $0 = pair }
      return pair
    } catch let error as ProviderError where error.local == nil { throw error } catch {
      throw ProviderError("the pair", of: admin.name, cannotBeUsed: error)
    }
  }

  private func ask(_ request: CommandRequest) async throws(ProviderError) -> CommandAnswer {
    guard let programs = admin.programs else {
      throw ProviderError(.notPermitted, "programs cannot be started here")
    }
    let ending = try await programs.run(
      ProgramCall(arguments, input: request.document(), limit: settings.timeLimit, masking: request.pairs))
    guard ending.cause == .exit(0) else { throw Self.trouble(ending, request.operation) }
    return try CommandAnswer(ending.output, to: request.operation)
  }

  /// What it means that the program ended without an answer. With these codes of `sysexits.h` it promises that it did
  /// not act.
  private static func trouble(_ ending: ProgramEnding, _ operation: CommandRequest.Operation) -> ProviderError {
    let known: (code: ProviderError.Code, meaning: String)? =
      switch ending.cause {
      case .exit(69): (.unreachable, "the system cannot be reached")
      case .exit(75): (.limited, "the system cannot do it now")
      case .exit(77): (.notPermitted, "the administrator may not do this")
      case .exit(78): (.configuration, "something is set up wrongly")
      default: nil
      }
    let ended =
      switch ending.cause {
      case .exit(let code): "it exited with \(code)"
      case .signal(let number): "it was ended by signal \(number)"
      case .timeLimit: "it was ended because it took longer than time-limit"
      case .tooLong: "it was ended because it wrote more than \(ProgramCall.maximumOutputSize) bytes"
      case .unknown: "how it ended is not known"
      }
    let words: String? =
      if operation.mayShowUnknownPairs, !ending.said.isEmpty {
        "run it by hand as docs/providers/command-contract.md says: what it said is not shown, because"
          + " it might contain a pair"
      } else {
        ending.said.isEmpty ? nil : "it said: \(ending.said)"
      }
    guard let known else {
      return ProviderError(
        .malformed, "the program gave no answer to \(operation.rawValue): \(ended)",
        hint: words ?? "see docs/providers/command-contract.md", mayHaveActed: operation.isMutating, step: .program)
    }
    return ProviderError(
      known.code, "the program says of \(operation.rawValue) that \(known.meaning) (\(ended))", hint: words)
  }

  private func unexpected(_ error: String, _ operation: CommandRequest.Operation) -> ProviderError {
    let words = ["refused", "occupied", "not-found"]
    return ProviderError(
      .malformed,
      "the program answered \(operation.rawValue) with "
        + (words.contains(error) ? "the error \(error)" : "an error that the contract does not name"),
      hint: "see docs/providers/command-contract.md", mayHaveActed: operation.isMutating, step: .program)
  }
}
