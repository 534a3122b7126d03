package import FoundationEssentials

/// One request as the org saw it. It never holds a key, a secret or a token.
package struct RecordedRequest: Codable, Sendable, Equatable {
  package let number: Int
  package let time: Date
  package let method: String
  /// The path without its query.
  package let path: String
  /// The app and consumer that the request was about, if the org found them.
  package var app: String?
  package var consumer: String?
  /// The status of the org's answer, even if the client never saw it; nil if a fault kept the org from acting.
  package var status: Int?
  package var fault: OrgFault.Kind?
  /// For a granted token: whether the consumer's primary pair asked for it, or the other pair.
  package var isPrimary: Bool?

  /// Whether the request took effect, whatever the client was told.
  package var acted: Bool { status.map { (200..<300).contains($0) } ?? false }
}
