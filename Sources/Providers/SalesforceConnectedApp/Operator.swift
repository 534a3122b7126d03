package import Rotation
package import Sodium

/// A person who works at a provider's pages, and answers here. One question is asked at a time, whoever asks.
///
/// Every method throws `operatorNeeded` if nobody is there, or if they end the conversation.
package protocol Operator: Sendable {
  /// Shows `lines`, then asks `question`. Returns whether the answer was yes; anything else than yes and no is asked again.
  func confirms(_ lines: [String], _ question: String) async throws(ProviderError) -> Bool

  /// Shows `lines`, then takes one line for each of `prompts` without showing it. What is typed never is a `String`.
  func secrets(_ lines: [String], _ prompts: [String]) async throws(ProviderError) -> [SharedSecret]

  /// Shows `lines`.
  func tell(_ lines: [String]) async throws(ProviderError)
}
