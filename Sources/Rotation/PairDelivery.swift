package import Vault

/// What hands promoted pairs to those who use them, and runs hooks, as far as the engine needs to know it.
///
/// Delivery is at least once: a run that dies between the act and its record does it again. What is handed over must stand
/// that.
package protocol PairDelivery: Sendable {
  /// Fails if `delivery` obviously cannot work: a folder is missing, a program is none. Changes nothing.
  func check(_ delivery: DeliveryRecord) throws(DeliveryError)

  /// Hands `pair` to `delivery`, which takes pairs.
  ///
  /// `known` are all pairs that must not show in what a hook says. `keepAlive` is called every five seconds while it
  /// lasts; what it throws ends the delivery, within five seconds more, and is thrown.
  func hand(
    _ pair: Pair, to delivery: DeliveryRecord, _ occasion: DeliveryOccasion, known: [Pair],
    keepAlive: @escaping KeepAlive
  ) async throws

  /// Runs a hook that is given no pair. The rest is as above; throws `DeliveryError` if the hook fails.
  func run(
    _ hook: DeliveryRecord, _ occasion: DeliveryOccasion, known: [Pair], keepAlive: @escaping KeepAlive
  ) async throws
}

/// Called now and then by what takes long, so that whoever waits for it keeps what it holds.
package typealias KeepAlive = @Sendable () async throws -> Void

/// What a delivery is about. Not secret.
package struct DeliveryOccasion: Hashable, Sendable {
  package let credential: String
  /// The version that is active.
  package let version: UInt64
  /// The one before it, if there is one that is still owed.
  package let previous: UInt64?

  package init(credential: String, version: UInt64, previous: UInt64?) {
    self.credential = credential
    self.version = version
    self.previous = previous
  }
}

/// A sink or hook that did not do its work. Texts are ours, and what a hook said only with every pair masked.
package struct DeliveryError: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Code: String, Sendable {
    /// It is set up so that it cannot work.
    case unusable
    /// A file could not be written.
    case cannotWrite = "cannot-write"
    /// The program could not be started.
    case cannotStart = "cannot-start"
    /// The program ended with another code than 0, or by a signal.
    case failed
    /// The program was ended because its time was over.
    case timedOut = "timed-out"
    /// It waits for a sink before it, which failed.
    case waits
  }

  package let code: Code
  /// For the log: no words of a hook.
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

/// Where nothing can be delivered to: every sink and hook fails.
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
