package import Sodium

/// Who appends: the member that entries name, and the key that signs the checkpoint after them.
package struct LogSigner: Sendable {
  package let member: String
  /// The log's name: `relatch/` and the vault's identifier in hexadecimal.
  package let origin: String
  package let key: SigningKey

  package init(member: String, origin: String, key: SigningKey) {
    self.member = member
    self.origin = origin
    self.key = key
  }
}
