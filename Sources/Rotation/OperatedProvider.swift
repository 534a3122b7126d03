import Audit
import JSON
package import Vault

/// A provider whose changes a person makes by hand on its pages. A request takes as long as the person takes. Its
/// outcome is what the person says and what the token endpoint then shows.
///
/// If nobody is there to ask, everything that needs a person throws `operatorNeeded` and does nothing.
package protocol OperatedProvider: CredentialProvider {
  /// Asks whether to promote the staged pair although it was just `refused`: some systems accept a pair only once it is
  /// primary. Returns if the person agrees, and throws `operatorNeeded` if not.
  func agreeToPromote(_ pair: Pair, refused: ProviderError) async throws(ProviderError)
}

// A person may take longer than a lease lasts, and changes made by hand take a while to show.
extension RotationRun {
  /// Keeps the lease while waiting for a person.
  func attended<Answer: Sendable>(_ request: () async throws -> Answer) async throws -> Answer {
    guard provider is any OperatedProvider else { return try await request() }
    let (timing, keepAlive) = (timing, keepAlive)
    let keeper = Task {
      while !Task.isCancelled {
        try await timing.sleep(.seconds(60))
        // If the lease was lost, the next journalled step fails.
        try await keepAlive()
      }
    }
    defer { keeper.cancel() }
    return try await request()
  }

  /// Decides about a refused staged pair where a person operates the provider. Returns true if they want it promoted
  /// anyway, nil if nobody operates the provider. If they do not, it throws, and the attempt waits for another run.
  func shouldPromoteRefused(_ number: UInt64, _ pair: Pair, _ refusal: ProviderError) async throws -> Bool? {
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

  /// Finds out what happened to a promotion that a person says they made. It counts once the new pair is granted a
  /// token; the wait for that is as long as a new pair may take to become known.
  func clearUpManualPromotion() async throws {
    let (_, pair) = try pair(in: .staged)
    let deadline = timing.now() + propagation
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
