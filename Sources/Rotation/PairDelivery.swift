package import Vault

/// Hands promoted pairs to those who use them, and runs hooks, as far as the engine needs to know it.
///
/// Delivery is at least once: if a run dies between the act and its record, the act is repeated. Receivers must
/// tolerate that.
package protocol PairDelivery: Sendable {
  /// Fails if `delivery` obviously cannot work, for example because a folder is missing or a program is not one.
  /// Changes nothing.
  func check(_ delivery: DeliveryRecord) throws(DeliveryError)

  /// Hands `pair` to `delivery`, which takes pairs.
  ///
  /// `known` are all pairs that must not appear in a hook's output. `keepAlive` is called every five seconds during the
  /// delivery. If it throws, the delivery ends within five seconds more, and its error is thrown.
  func hand(
    _ pair: Pair, to delivery: DeliveryRecord, _ occasion: DeliveryOccasion, known: [Pair],
    keepAlive: @escaping KeepAlive
  ) async throws

  /// Runs a hook that is given no pair, otherwise as above. Throws `DeliveryError` if the hook fails.
  func run(
    _ hook: DeliveryRecord, _ occasion: DeliveryOccasion, known: [Pair], keepAlive: @escaping KeepAlive
  ) async throws
}

/// Called now and then during long work, so that the caller keeps what it holds.
package typealias KeepAlive = @Sendable () async throws -> Void

/// What a delivery is about. Not secret.
package struct DeliveryOccasion: Hashable, Sendable {
  package let credential: String
  /// The version that is active.
  package let version: UInt64
  /// The version before it, if that is still owed.
  package let previous: UInt64?

  package init(credential: String, version: UInt64, previous: UInt64?) {
    self.credential = credential
    self.version = version
    self.previous = previous
  }
}

/// A sink or hook that failed. Texts are ours; a hook's own output appears only with every pair masked.
package struct DeliveryError: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Code: String, Sendable {
    /// Its set-up cannot work.
    case unusable
    /// A file could not be written.
    case cannotWrite = "cannot-write"
    /// The program could not be started.
    case cannotStart = "cannot-start"
    /// The program exited with a code other than 0, or a signal ended it.
    case failed
    /// The program was ended because it exceeded its time limit.
    case timedOut = "timed-out"
    /// It waits for an earlier sink, which failed.
    case waits
  }

  package let code: Code
  /// For the log: contains nothing that a hook said.
  package let description: String
  package let hint: String?
  /// The end of what a hook said, masked; empty if it said nothing.
  package let said: String

  package init(_ code: Code, _ description: String, hint: String? = nil, said: String = "") {
    self.code = code
    self.description = description
    self.hint = hint
    self.said = said
  }
}

/// A pair that a sink or hook lacks after a run, and why.
package struct DeliveryShortfall: Hashable, Sendable {
  /// The sink's or hook's name.
  package let name: String
  package let error: DeliveryError

  package init(name: String, error: DeliveryError) {
    self.name = name
    self.error = error
  }
}

/// A delivery that reaches nothing: every sink and hook fails.
package struct NoDelivery: PairDelivery {
  package init() {}

  private static let error = DeliveryError(.unusable, "nothing can be delivered from here")

  package func check(_ delivery: DeliveryRecord) throws(DeliveryError) { throw Self.error }

  package func hand(
    _ pair: Pair, to delivery: DeliveryRecord, _ occasion: DeliveryOccasion, known: [Pair],
    keepAlive: @escaping KeepAlive
  ) async throws { throw Self.error }

  package func run(
    _ hook: DeliveryRecord, _ occasion: DeliveryOccasion, known: [Pair], keepAlive: @escaping KeepAlive
  ) async throws { throw Self.error }
}
