package import Rotation
package import Sodium

/// A person who works at a provider's pages and answers questions here. They are asked one question at a time, even by
/// several runs.
///
/// Every method throws `operatorNeeded` if nobody is there, or if they end the conversation.
package protocol Operator: Sendable {
  /// Shows `lines`, then asks `question` until the answer is yes or no. Returns whether it was yes.
  func confirms(_ lines: [String], _ question: String) async throws(ProviderError) -> Bool

  /// Shows `lines`, then reads one line for each of `prompts` without showing it. What is typed never becomes a
  /// `String`.
  func secrets(_ lines: [String], _ prompts: [String]) async throws(ProviderError) -> [SharedSecret]

  /// Shows `lines`.
  func tell(_ lines: [String]) async throws(ProviderError)
}
