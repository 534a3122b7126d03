package import Rotation
package import Sodium
package import Vault

/// The credential whose token drives rotations, and the session that all of them share.
package struct AdminAccess: Sendable {
  package let name: String
  package let settings: [String: String]
  /// Its active pair now; every call is an entry in the log.
  package let pair: @Sendable () async throws -> Pair
  /// Whether it is the very credential that is rotated.
  package let isSelf: Bool
  /// Who does what no token can, where a provider needs it and somebody is there.
  package let `operator`: (any Operator)?
  /// Who starts the program of a provider that is one; nil where none may be started.
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

  /// Fails with `configuration` if the credential administers itself: where making a new secret ends the old one, nobody could
  /// read the new one again after a lost answer.
  func requireAnother() throws(ProviderError) {
    guard isSelf else { return }
    throw ProviderError(
      .configuration,
      "the credential administers itself, and its pair ends as the new one is made: nobody could read that one again",
      hint: "name another credential by --admin, whose pair does not end with it", step: .admin)
  }
}

extension ProviderError {
  /// That `what` of `admin` could not be had here, because of `error`: nobody was asked yet.
  init(_ what: String, of admin: String, cannotBeUsed error: any Error) {
    let advice = error as? any AdvisingError
    self.init(
      .notPermitted, advice?.description ?? "\(what) of \(admin), which administers, cannot be used: \(error)",
      hint: advice?.hint, local: error, step: .admin)
  }
}

/// One administering token for many requests: asked for once, however many wait for it, and again when it has ended.
package actor AdminSession {
  private var asked: (number: Int, task: Task<SharedSecret, any Error>)?
  private var count = 0

  package init() {}

  /// The token; `grant` is called only if there is none and nobody is asking. What it throws, everyone who waits is told,
  /// and the next call asks again.
  package func token(_ grant: @escaping @Sendable () async throws -> SharedSecret) async throws -> SharedSecret {
    if let asked { return try await asked.task.value }
    count += 1
    let number = count
    // A task of its own: whoever asked first may be cancelled without harm to the others.
    let task = Task { try await grant() }
    asked = (number, task)
    do { return try await task.value } catch {
      if asked?.number == number { asked = nil }
      throw error
    }
  }

  /// Forgets `token`, which was refused; another that was granted meanwhile stays.
  package func end(_ token: SharedSecret) async {
    guard let asked, let known = try? await asked.task.value, known.secret.isEqual(to: token.secret) else { return }
    if self.asked?.number == asked.number { self.asked = nil }
  }

  /// Forgets whatever token there is: the next is asked for with another pair.
  package func end() { asked = nil }
}
