import JSON
package import Rotation
package import Sodium
package import Vault

/// Delivers to files and programs on this machine.
package struct LocalDelivery: PairDelivery {
  private let hooks: HookRunner
  private let randomness: Randomness
  private let isOwn: @Sendable (_ path: String) -> Bool

  /// `isOwn` says of an absolute path that what is there is this program's: nothing is delivered onto it.
  package init(
    hooks: HookRunner, randomness: Randomness, isOwn: @escaping @Sendable (_ path: String) -> Bool = { _ in false }
  ) {
    self.hooks = hooks
    self.randomness = randomness
    self.isOwn = isOwn
  }

  package func check(_ delivery: DeliveryRecord) throws(DeliveryError) {
    switch delivery.settings.kind {
    case .file(let file):
      try requireNotOwn(file)
      try FileSink(file, randomness: randomness).check()
    case .hook(let hook): try hooks.check(hook)
    }
  }

  /// Which sinks and hooks of `credential` obviously cannot work, and why, for a check before a rotation. Changes
  /// nothing.
  package func problems(of credential: Credential) -> [DeliveryShortfall] {
    credential.deliveries.compactMap { delivery -> DeliveryShortfall? in
      do throws(DeliveryError) {
        try check(delivery)
        return nil
      } catch { return DeliveryShortfall(name: delivery.name, error: error) }
    }
  }

  /// The sinks of `credential` that are recorded as having its active `pair`, but whose files are gone or hold
  /// something else. Files that may not be read are left out. Changes nothing.
  package func drifted(from pair: Pair, of credential: Credential) -> [String] {
    guard let active = credential.version(in: .active)?.number else { return [] }
    return credential.deliveries.filter { delivery in
      guard case .file(let file) = delivery.settings.kind, delivery.delivered == active else { return false }
      do {
        let expected = try SinkDocument.make(pair, file.format, credential: credential.name, version: active)
        let found = try PrivateFile.read(file.path)
        return !found.isEqual(to: expected)
      } catch let error as VaultError { return error.code == .notFound || error.code == .invalidInput } catch {
        return false
      }
    }.map(\.name)
  }

  package func hand(
    _ pair: Pair, to delivery: DeliveryRecord, _ occasion: DeliveryOccasion, known: [Pair],
    keepAlive: @escaping KeepAlive
  ) async throws {
    do {
      switch delivery.settings.kind {
      case .file(let file):
        let replacement = try write(pair, file, occasion)
        // A run that was overtaken meanwhile must not put an older pair in place of a newer one.
        try await keepAlive()
        try replacement.commit()
      case .hook(let hook):
        try await hooks.run(
          hook, variables(hook.occasion, occasion), input: SharedSecret(try pair.document()),
          masking: known + [pair], keepAlive: keepAlive)
      }
    } catch let error as SodiumError { throw Self.failure(error) }
  }

  package func run(
    _ hook: DeliveryRecord, _ occasion: DeliveryOccasion, known: [Pair], keepAlive: @escaping KeepAlive
  ) async throws {
    guard case .hook(let settings) = hook.settings.kind else { return }
    do {
      try await hooks.run(
        settings, variables(settings.occasion, occasion), input: nil, masking: known, keepAlive: keepAlive)
    } catch let error as SodiumError { throw Self.failure(error) }
  }

  /// Memory that is missing now may be available for the next sink, or in the next run.
  private static func failure(_ error: SodiumError) -> DeliveryError {
    DeliveryError(.failed, error.description, hint: "raise the limit of locked memory, LimitMEMLOCK= or ulimit -l")
  }

  /// Runs a hook for a failed run, with what went wrong as a JSON object on its standard input. No pair is open then to
  /// be masked, so none of the hook's output may be shown: `said` of what this throws is empty.
  package func tell(
    _ hook: DeliveryRecord, _ occasion: DeliveryOccasion, code: Int, error: String
  ) async throws {
    guard case .hook(let settings) = hook.settings.kind else { return }
    let report = JSONValue.object([
      "code": .integer(code), "credential": .string(occasion.credential), "error": .string(error),
    ]).canonicalBytes
    do {
      try await hooks.run(
        settings, variables(settings.occasion, occasion),
        input: SharedSecret(try SecretBytes(copying: report.span.bytes)), masking: [], keepAlive: {})
    } catch let error as DeliveryError {
      throw DeliveryError(error.code, error.description, hint: error.hint)
    }
  }

  /// Removes what killed runs left beside a sink's file.
  package func sweep(_ delivery: DeliveryRecord) {
    if case .file(let file) = delivery.settings.kind { FileSink(file, randomness: randomness).sweep() }
  }

  private func requireNotOwn(_ file: FileSettings) throws(DeliveryError) {
    guard isOwn(file.path) else { return }
    throw DeliveryError(
      .unusable, "\(Name.printable(file.path)) is a file of relatch itself, which a pair would replace",
      hint: "remove the sink, and add one in a folder of its own")
  }

  private func write(
    _ pair: Pair, _ file: FileSettings, _ occasion: DeliveryOccasion
  ) throws -> FileSink.Replacement {
    try requireNotOwn(file)
    let content = try SinkDocument.make(
      pair, file.format, credential: occasion.credential, version: occasion.version)
    return try FileSink(file, randomness: randomness).replacement(content)
  }

  private func variables(_ event: HookSettings.Occasion, _ occasion: DeliveryOccasion) -> [String: String] {
    var variables = [
      "RELATCH_CREDENTIAL": occasion.credential, "RELATCH_EVENT": event.rawValue,
      "RELATCH_VERSION": String(occasion.version),
    ]
    if let previous = occasion.previous { variables["RELATCH_PREVIOUS_VERSION"] = String(previous) }
    return variables
  }
}
