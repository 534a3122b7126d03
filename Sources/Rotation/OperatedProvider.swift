import Audit
import JSON
package import Vault

/// A provider whose changes a person makes by hand, at its pages: a request takes as long as a person takes, and what it did is
/// what the person says and what the token endpoint then shows.
///
/// Where nobody is there to be asked, everything that needs a person throws `operatorNeeded`, and has not acted.
package protocol OperatedProvider: CredentialProvider {
  /// Asks whether the staged pair, which was just `refused`, is to be made primary all the same: some systems accept it only
  /// then. Returns if the person says so, and throws `operatorNeeded` if not.
  func agreeToPromote(_ pair: Pair, refused: ProviderError) async throws(ProviderError)
}

// A person at work. They may take longer than a lease lasts, and what they do by hand takes a while to show.
extension RotationRun {
  /// Keeps the lease while a person is waited for.
  func attended<Answer: Sendable>(_ request: () async throws -> Answer) async throws -> Answer {
    guard provider is any OperatedProvider else { return try await request() }
    let (timing, keepAlive) = (timing, keepAlive)
    let keeper = Task {
      while !Task.isCancelled {
        try await timing.sleep(.seconds(60))
        // A lease that was lost is met by whatever is journalled next.
        try await keepAlive()
      }
    }
    defer { keeper.cancel() }
    return try await request()
  }

  /// What follows on a staged pair that is refused where a person operates the provider. Returns whether they want it promoted
  /// all the same; nil where nobody operates it. If they do not, the attempt waits for another run.
  func promotesRefused(_ number: UInt64, _ pair: Pair, _ refusal: ProviderError) async throws -> Bool? {
    guard let operated = provider as? any OperatedProvider else { return nil }
    do {
      try await ask { try await operated.agreeToPromote(pair, refused: refusal) }
      hasAgreed = true
      return true
    } catch let error as ProviderError {
      try record(.postponed(.validate), version: number, error.members)
      throw RotationError(error, while: "validating version \(number)", name)
    }
  }

  /// Finds out what became of a promotion that a person says they made. It counts once the new pair was granted a token:
  /// that is waited for as long as a new pair may take to be known.
  func clearUpByHand() async throws {
    let (_, pair) = try pair(in: .staged)
    let deadline = timing.now() + credential.policy.propagation
    var backoff = Backoff()
    while true {
      let wait = backoff.next(timing.randomness)
      let isLast = timing.now() + wait > deadline || asksLeft < 10
      do {
        let seen = try await look()
        if isLast || seen.primary.matches(pair) { return try await clearUp(.promote, seen) }
      } catch let error as ProviderError {
        guard !isLast, error.isTransient || error.code == .refused else {
          throw RotationError(error, while: "promote", name)
        }
      }
      try await pause(wait)
    }
  }
}
