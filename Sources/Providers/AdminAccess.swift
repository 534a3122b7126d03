package import Rotation
package import Sodium
package import Vault

/// The credential whose token drives rotations, and the session that those rotations share.
package struct AdminAccess: Sendable {
  package let name: String
  package let settings: [String: String]
  /// Returns its current active pair; every call makes an entry in the log.
  package let pair: @Sendable () async throws -> Pair
  /// Whether it is the same credential that is rotated.
  package let isSelf: Bool
  /// The person who does what no token can, if the provider needs one and somebody is there.
  package let `operator`: (any Operator)?
  /// What starts the program of a `command` provider; nil if none may be started.
  package let programs: (any ProgramHost)?
  package let session = AdminSession()

  package init(
    name: String, settings: [String: String], isSelf: Bool = false, operator: (any Operator)? = nil,
    programs: (any ProgramHost)? = nil, pair: @escaping @Sendable () async throws -> Pair
  ) {
    self.isSelf = isSelf
    self.operator = `operator`
    self.programs = programs
    self.name = name
    self.settings = settings
    self.pair = pair
  }

  /// Fails with `configuration` if the credential administers itself. For systems where making a new secret ends the
  /// old one: after a lost answer, nobody could read the new one.
  func requireAnother() throws(ProviderError) {
    guard isSelf else { return }
    throw ProviderError(
      .configuration,
      "the credential administers itself, and its pair ends when the new one is made: nobody could read"
        + " the new one again",
      hint: "name another credential with --admin, one whose pair does not end then", step: .admin)
  }
}

extension ProviderError {
  /// The error that `what` of `admin` could not be obtained here because of `error`. No request was sent yet.
  init(_ what: String, of admin: String, cannotBeUsed error: any Error) {
    let advice = error as? any AdvisingError
    self.init(
      .notPermitted, advice?.description ?? "\(what) of the administrator \(admin) cannot be used: \(error)",
      hint: advice?.hint, local: error, step: .admin)
  }
}

/// One administering token for many requests. It is requested once, however many wait for it, and again after it has
/// ended.
package actor AdminSession {
  private var asked: (number: Int, task: Task<SharedSecret, any Error>)?
  private var count = 0

  package init() {}

  /// The token. `grant` is called only if there is no token and no request for one is under way. Every waiting caller
  /// gets what it throws, and the next call tries again.
  package func token(_ grant: @escaping @Sendable () async throws -> SharedSecret) async throws -> SharedSecret {
    if let asked { return try await asked.task.value }
    count += 1
    let number = count
    // A separate task, so that cancelling the first caller does not harm the others.
    let task = Task { try await grant() }
    asked = (number, task)
    do { return try await task.value } catch {
      if asked?.number == number { asked = nil }
      throw error
    }
  }

  /// Forgets `token`, which was refused. Another one granted meanwhile stays.
  package func end(_ token: SharedSecret) async {
    guard let asked, let known = try? await asked.task.value, known.secret.isEqual(to: token.secret) else { return }
    if self.asked?.number == asked.number { self.asked = nil }
  }

  /// Forgets any token: the next one is requested with another pair.
  package func end() { asked = nil }
}
