/// The program's exit status. It is an interface: `docs/exit-codes.md` has the same table, and a test compares them.
enum ExitCode: Int32, CaseIterable, Sendable {
  case done = 0
  case validationFailed = 10
  case deliveryFailed = 11
  case debtOutstanding = 12
  case someFailed = 13
  case due = 14
  case usage = 64
  case corruptData = 65
  case notFound = 66
  case providerUnreachable = 69
  case internalError = 70
  case cannotWrite = 74
  case heldByAnotherRun = 75
  case notPermitted = 77
  case configuration = 78

  /// Whether nothing went wrong that a later run does not continue: something waits, was not delivered, or is owed.
  var isUnfinished: Bool { self == .heldByAnotherRun || self == .deliveryFailed || self == .debtOutstanding }

  /// The meaning in one line, as documented.
  var meaning: String {
    switch self {
    case .done: "done, or nothing to do"
    case .validationFailed: "a new pair failed validation; not promoted; the old one is still active"
    case .deliveryFailed: "promoted, but a sink or hook failed (it will be retried)"
    case .debtOutstanding: "done, but a debt is outstanding"
    case .someFailed: "some of many failed (the report says which)"
    case .due: "`plan --check`: something is due"
    case .usage: "usage"
    case .corruptData: "corrupt or tampered data"
    case .notFound: "no such vault, credential or file"
    case .providerUnreachable: "provider unreachable, nothing changed"
    case .internalError: "internal error"
    case .cannotWrite: "log or vault cannot be written"
    case .heldByAnotherRun: "held back, try later: by another run, a grace, a taken slot or a hook"
    case .notPermitted: "not permitted or cannot unlock"
    case .configuration: "configuration"
    }
  }
}
