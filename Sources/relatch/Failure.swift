import Age
import ArgumentParser
import Audit
import JSON
import Providers
import Rotation
import Sodium
import Storage
import Transport
import Vault

/// A failure as its caller sees it: exit code, what was attempted and found, and what to do about it.
struct Failure: Error {
  let code: ExitCode
  let message: String
  let hint: String?

  init(_ code: ExitCode, _ message: String, hint: String? = nil) {
    self.code = code
    self.message = message
    self.hint = hint
  }

  /// Sorts any error. `isUsage` says that the argument parser threw it.
  init(_ error: any Error, isUsage: Bool = false) {
    switch error {
    case let failure as Failure: self = failure
    case let error as RotationError: self.init(error.code.exitCode, error.description, hint: error.hint)
    case let error as ProviderError: self.init(error.code.exitCode, error.description, hint: error.hint)
    case let error as VaultError: self.init(error.code.exitCode, error.description, hint: error.code.hint)
    case let error as StorageError: self.init(error.code.exitCode, error.description, hint: error.code.hint)
    case let error as AuditError:
      self.init(
        .corruptData, "the log: \(error)", hint: "`relatch log verify` says where the log stops being trustworthy")
    case let error as AgeError: self.init(error.code.exitCode, error.description)
    case let error as JSONError: self.init(.corruptData, error.description)
    case let error as TransportError: self.init(ProviderError.Code.unreachable.exitCode, error.description)
    case let error as PassphraseError: self.init(.notPermitted, error.description, hint: error.hint)
    case let error as StreamError: self.init(error.exitCode, error.description)
    case let error as SodiumError: self.init(.internalError, error.description)
    case _ where isUsage:
      self.init(.usage, Relatch.message(for: error), hint: "`relatch help` lists the commands")
    default: self.init(.internalError, "unexpected: \(error)", hint: "please report this")
    }
  }
}

extension RotationError.Code {
  var exitCode: ExitCode {
    switch self {
    case .provider(let code): code.exitCode
    case .held, .inGrace, .foreignStagedPair: .heldByAnotherRun
    case .foreignPrimary: .configuration
    case .unresolved: .providerUnreachable
    case .corruptJournal: .corruptData
    case .nothingOwed: .done
    }
  }
}

extension ProviderError.Code {
  var exitCode: ExitCode {
    switch self {
    case .refused, .principal, .notPermitted: .notPermitted
    case .configuration, .notFound: .configuration
    case .unreachable, .limited: .providerUnreachable
    case .malformed: .corruptData
    case .occupied: .heldByAnotherRun
    }
  }
}

extension VaultError.Code {
  var exitCode: ExitCode {
    switch self {
    case .notFound, .cannotRead: .notFound
    case .alreadyExists, .invalidInput: .usage
    case .corrupt: .corruptData
    case .unsupportedFormat: .configuration
    case .notPermitted: .notPermitted
    case .cannotWrite: .cannotWrite
    }
  }

  var hint: String? {
    switch self {
    case .corrupt: "nothing was changed; restore the vault from a backup, and find out who altered it"
    case .unsupportedFormat: "use a newer relatch"
    case .notPermitted: "use the identity that made the vault, or ask an owner: --identity FILE or RELATCH_IDENTITY"
    case .cannotWrite: "check free space and permissions; nothing was changed"
    case .notFound, .alreadyExists, .invalidInput, .cannotRead: nil
    }
  }
}

extension StorageError.Code {
  var exitCode: ExitCode {
    switch self {
    case .notFound: .notFound
    case .alreadyExists: .usage
    case .corrupt: .corruptData
    case .unsupportedFormat: .configuration
    case .cannotRead: .notFound
    case .cannotWrite: .cannotWrite
    case .busy, .leaseHeld, .leaseLost: .heldByAnotherRun
    }
  }

  var hint: String? {
    switch self {
    case .notFound: "`relatch init` makes a vault; --vault DIR or RELATCH_VAULT names one"
    case .corrupt: "nothing was changed; restore the vault from a backup"
    case .unsupportedFormat: "use a newer relatch, or check --vault"
    case .cannotWrite: "check free space and permissions; nothing was changed"
    case .busy, .leaseHeld, .leaseLost: "another run is at work: try again later"
    case .alreadyExists, .cannotRead: nil
    }
  }
}

extension AgeError.Code {
  var exitCode: ExitCode {
    switch self {
    case .noMatchingIdentity, .wrongPassphrase: .notPermitted
    default: .corruptData
    }
  }
}
