package import Sodium

/// 16 random bytes that name a vault or a credential for ever, written as 32 lower-case hexadecimal digits.
package struct Identifier: Hashable, Sendable, CustomStringConvertible {
  package static let size = 16
  package let bytes: [UInt8]

  /// A new one.
  package init(drawnFrom randomness: Randomness) { bytes = randomness.bytes(Self.size) }

  /// Reads 32 lower-case hexadecimal digits; nil for anything else.
  package init?(_ text: String) {
    guard text.utf8.count == 2 * Self.size, let bytes = [UInt8](hex: text) else { return nil }
    self.bytes = bytes
  }

  package var description: String { bytes.hex }
}
