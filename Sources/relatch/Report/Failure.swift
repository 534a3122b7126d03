import Age
import ArgumentParser
import Audit
import JSON
import Providers
import Rotation
import SalesforceMetadata
import Sodium
import Storage
import Transport
import Vault

/// A failure as its caller sees it: exit code, what was attempted and found, and what to do about it.
struct Failure: AdvisingError {
  let code: ExitCode
  /// Contains no words of a hook, because it may go anywhere.
  let message: String
  /// The message with a hook's last words, masked: only for whoever runs the command.
  let quoting: String
  let hint: String
  /// Whether nothing failed except reporting what was done.
  private(set) var isOutputOnly = false
  var description: String { message }

  /// `quoting` is `message` unless it is given.
  init(_ code: ExitCode, _ message: String, quoting: String? = nil, hint: String) {
    self.code = code
    self.message = message
    self.quoting = quoting ?? message
    self.hint = hint
  }

  /// The failure with `name` in the commands of its hint, where whatever threw it can only write NAME.
  func naming(_ name: String) -> Failure {
    Failure(code, message, quoting: quoting, hint: hint.replacing(" NAME", with: " \(name)"))
  }

  /// Any error as its caller sees it. `isUsage` says that the argument parser threw it.
  init(_ error: any Error, isUsage: Bool = false) {
    switch error {
    case let failure as Failure: self = failure
    case let error as RotationError:
      self.init(
        error.code.exitCode, error.description,
        quoting: error.description + DeliveryError.quotation(error.said), hint: error.hint ?? error.code.hint)
    case let error as ProviderError:
      if let local = error.local {
        self.init(local)
        return
      }
      self.init(error.code.exitCode, error.description, hint: error.hint ?? error.code.hint)
    case let error as DeliveryError:
      self.init(
        error.code == .unusable ? .configuration : .deliveryFailed, error.description,
        hint: error.hint ?? "`relatch deliver NAME` tries it again")
    case let error as VaultError:
      self.init(error.code.exitCode, error.description, hint: error.hint ?? error.code.hint)
    case let error as HandoffError:
      self.init(
        error.code.exitCode, error.description, hint: error.hint ?? "`relatch help handoff` describes its commands")
    case let error as MissingVaultKey:
      self.init(
        .corruptData, error.description,
        hint: "if this is a copy that was made while the vault was in use, make one with `relatch backup`; otherwise"
          + " restore the vault from a backup, and find out who altered it")
    case let error as StorageError: self.init(error.code.exitCode, error.description, hint: error.code.hint)
    case let error as AuditError:
      self.init(
        .corruptData, "the log: \(error)", hint: "`relatch log verify` says where the log stops being trustworthy")
    case let error as AgeError: self.init(error.code.exitCode, error.description, hint: error.code.hint)
    case let error as JSONError:
      self.init(.corruptData, error.description, hint: "something that must be JSON is not: restore it from a copy")
    case let error as TransportError:
      self.init(ProviderError.Code.unreachable.exitCode, error.description, hint: ProviderError.Code.unreachable.hint)
    case let error as MetadataError: self.init(error.code.exitCode, error.description, hint: error.code.hint)
    case let error as PassphraseError: self.init(.notPermitted, error.description, hint: error.hint)
    case let error as StreamError:
      self.init(
        error.exitCode, error.description,
        hint: "make room for the output, or redirect it; `relatch log list` says what was done")
      isOutputOnly = true
    case let error as SodiumError: self.init(.internalError, error.description, hint: Self.reportHint)
    case _ where isUsage:
      self = MistakenArguments(Array(ProcessArguments.all.dropFirst())).failure(
        Relatch.message(for: error), hint: Usage(in: Relatch.fullMessage(for: error)).hint)
    default: self.init(.internalError, "unexpected: \(error)", hint: Self.reportHint)
    }
  }

  private static let reportHint = "please report this, with the command and this line"
}

extension RotationError.Code {
  var exitCode: ExitCode {
    switch self {
    case .provider(let code): code.exitCode
    case .held, .inGrace, .foreignStagedPair, .vetoed, .underWay: .heldByAnotherRun
    case .foreignPrimary, .cannotDeliver: .configuration
    case .unresolved: .providerUnreachable
    case .outstanding: .debtOutstanding
    case .corruptJournal: .corruptData
    case .nothingOwed, .nothingUnfinished, .notDue: .done
    case .unfinished, .promotedAlready, .handedOver: .usage
    }
  }

  /// What to do if the error itself does not say.
  var hint: String {
    switch self {
    case .provider(let code): code.hint
    case .held, .inGrace, .foreignStagedPair: "try again later; `relatch status` shows the stage of each version"
    case .vetoed: "nothing was asked of the provider; the next run asks the hook again"
    case .cannotDeliver:
      "nothing was asked of the provider; `relatch sink list` and `relatch hook list` show what is set up"
    case .foreignPrimary: "look at the provider first: find out which pair is primary there"
    case .unresolved, .outstanding: "nothing is lost: run the same command again"
    case .corruptJournal: "nothing was changed; restore the vault from a backup, and find out who altered it"
    case .nothingOwed, .nothingUnfinished, .notDue: "`relatch status` shows the stage of each version"
    case .unfinished, .underWay: "`relatch resume NAME` finishes the rotation, `relatch abort NAME` gives it up"
    case .promotedAlready: "`relatch resume` finishes the rotation"
    case .handedOver: "it is rotated where it was handed to; `relatch status` says what is owed here"
    }
  }
}

extension ProviderError.Code {
  var exitCode: ExitCode {
    switch self {
    case .refused, .principal, .notPermitted, .operatorNeeded: .notPermitted
    case .configuration, .notFound: .configuration
    case .unreachable, .limited, .malformed: .providerUnreachable
    case .occupied: .heldByAnotherRun
    }
  }

  /// What to do if the error itself does not say.
  var hint: String {
    switch self {
    case .refused: "check at the provider whether this pair was replaced or deleted there"
    case .principal: "check at the provider whether the user that the app acts as is active and allowed"
    case .notPermitted: "check at the provider what the administering credential may do"
    case .configuration, .notFound: "`relatch show NAME` prints the settings; compare them with the provider's"
    case .unreachable, .limited: "nothing is lost: run the same command again later"
    case .malformed:
      "something in between may be answering instead of the provider; nothing is lost: run the same command again"
    case .occupied: "try again when the provider's staging slot is free"
    case .operatorNeeded: "nothing is lost: run `relatch resume NAME` at a terminal"
    }
  }
}

extension VaultError.Code {
  var exitCode: ExitCode {
    switch self {
    case .notFound, .cannotRead: .notFound
    case .alreadyExists, .invalidInput: .usage
    case .corrupt, .rolledBack, .foundedByAnother: .corruptData
    case .unsupportedFormat: .configuration
    case .notPermitted: .notPermitted
    case .cannotWrite, .unavailable: .cannotWrite
    case .keyChanged, .versionExists: .heldByAnotherRun
    }
  }

  var hint: String {
    switch self {
    case .notFound:
      "check the name or path; `relatch list` names the credentials, `relatch member list` the members"
    case .alreadyExists:
      "use another name; `relatch list`, `member list`, `sink list` and `hook list` show those in use"
    case .invalidInput: MistakenArguments(Array(ProcessArguments.all.dropFirst())).help
    case .corrupt: "nothing was changed; restore the vault from a backup, and find out who altered it"
    case .rolledBack:
      "if it was put back on purpose, --accept-rollback accepts it and logs that; otherwise find out who replaced it"
    case .foundedByAnother: "find out who put it there, and restore the vault from one of its own backups"
    case .unsupportedFormat: "use a newer relatch"
    case .notPermitted:
      "use an owner's identity (--identity FILE or RELATCH_IDENTITY), or ask an owner: `relatch member list` names them"
    case .cannotRead: "check that it is a file and that you can read it"
    case .unavailable:
      "raise the limit of open files (ulimit -n), or check the machine's memory and disk; then run it again"
    case .cannotWrite: "check free space and permissions"
    case .keyChanged, .versionExists: "nothing was changed; try again"
    }
  }
}

extension HandoffError.Code {
  var exitCode: ExitCode {
    switch self {
    case .corrupt, .wrongSender: .corruptData
    case .unsupportedFormat: .configuration
    case .misaddressed, .expired, .replayed: .notPermitted
    case .unknown: .notFound
    case .wrongState: .heldByAnotherRun
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
    // A store that exists and cannot be read has the same trouble: a full disk keeps SQLite from reading, too.
    case .cannotRead, .cannotWrite: .cannotWrite
    case .busy, .leaseHeld, .leaseLost: .heldByAnotherRun
    }
  }

  var hint: String {
    switch self {
    case .notFound: "`relatch init` makes a vault; --vault DIR or RELATCH_VAULT names one"
    case .alreadyExists: "use it, or name another place: --vault DIR"
    case .corrupt: "nothing was changed; restore the vault from a backup"
    case .unsupportedFormat: "use a newer relatch, or check --vault"
    case .cannotRead: "check the disk, and that you can read and write the vault's folder and files"
    case .cannotWrite:
      "check free space, the owner and mode of the vault's folder and its files, and that the file system is not"
        + " read-only; what is not in the log was not done"
    case .busy, .leaseHeld, .leaseLost: "try again later: another run holds it"
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

  var hint: String {
    switch self {
    case .noMatchingIdentity: "use the identity it was sealed to: --identity FILE or RELATCH_IDENTITY"
    case .wrongPassphrase: "run the command again and type the passphrase"
    default: "it is damaged or not an identity: restore it from a copy, or name another with --identity FILE"
    }
  }
}
