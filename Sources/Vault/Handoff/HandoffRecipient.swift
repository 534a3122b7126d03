package import Age
package import Audit
package import Sodium

/// Whom a handoff is sealed to.
package struct HandoffRecipient: Sendable {
  private enum Key: Sendable {
    case age(AgeRecipient)
    case ssh(SSHRecipient)
  }

  private let key: Key
  /// The key that the receipt will be signed with, if a card gave it.
  package let signing: VerifyingKey?
  /// What the card calls them.
  package let name: String?

  /// From a card: the receipt can be told from anybody else's.
  package init(_ card: LogMember) throws {
    key = .age(try AgeRecipient(card.age))
    signing = card.signing
    name = card.name
  }

  package init(_ recipient: AgeRecipient) {
    key = .age(recipient)
    (signing, name) = (nil, nil)
  }

  /// From an SSH key: opened only with the `age` program, and without a receipt.
  package init(_ recipient: SSHRecipient) {
    key = .ssh(recipient)
    (signing, name) = (nil, nil)
  }

  /// As the terms have it.
  package var text: String {
    switch key {
    case .age(let recipient): recipient.description
    case .ssh(let recipient): recipient.description
    }
  }

  package var isSSH: Bool { if case .ssh = key { true } else { false } }

  /// An armored age file of `plaintext`.
  func seal(_ plaintext: RawSpan, _ randomness: Randomness) throws -> [UInt8] {
    switch key {
    case .age(let recipient): try AgeFile.seal(plaintext, to: [recipient], randomness: randomness, armored: true)
    case .ssh(let recipient): try AgeFile.seal(plaintext, to: recipient, randomness: randomness, armored: true)
    }
  }
}
