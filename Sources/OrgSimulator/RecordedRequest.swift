package import FoundationEssentials

/// One request as the org saw it. Never a key, a secret or a token.
package struct RecordedRequest: Codable, Sendable, Equatable {
  package let number: Int
  package let time: Date
  package let method: String
  /// The path without its query.
  package let path: String
  /// The app and consumer it was about, where the org found them.
  package var app: String?
  package var consumer: String?
  /// What the org made of it, also where the client never saw the answer; nil if a fault kept the org from acting.
  package var status: Int?
  package var fault: OrgFault.Kind?
  /// Of a granted token: whether the consumer's primary pair asked for it, or the one beside it.
  package var isPrimary: Bool?

  /// Whether the request took effect, whatever the client was told.
  package var acted: Bool { status.map { (200..<300).contains($0) } ?? false }
}
