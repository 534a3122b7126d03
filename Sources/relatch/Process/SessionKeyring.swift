import CSystem
import Glibc
import Sodium
import Vault

/// What the kernel keeps for this login session, for a limited time: see keyrings(7). It ends with the session, with
/// its time, or with `end`.
///
/// Every program in the session can read it, as with an agent that holds keys.
struct SessionKeyring {
  private let number: Int32

  /// Throws `KeyringError` if the kernel has no keyrings or a container may not use them.
  init() throws(KeyringError) {
    number = csystem_session_keyring()
    guard number >= 0 else { throw KeyringError(number: errno, attempt: "find the keyring of this login session") }
  }

  /// Keeps a copy of `secret` as `name` for `seconds`, in place of what had that name.
  func keep(_ secret: borrowing SecretBytes, as name: String, seconds: UInt32) throws(KeyringError) {
    let status = secret.withUnsafeBytes { csystem_keyring_keep(number, name, $0.baseAddress, $0.count, seconds) }
    guard status == 0 else { throw KeyringError(number: errno, attempt: "keep the identity in this session's keyring") }
  }

  /// What is kept as `name`; nil if nothing is, or its time is over. Throws `SodiumError` if there is no guarded memory
  /// for it.
  func secret(_ name: String) throws -> SecretBytes? {
    // Larger than any identity: 32 bytes, spelled out.
    let limit = 1024
    let secret = try SecretBytes(capacity: limit) { output in
      output.withUnsafeMutableBytes { buffer, initialized in
        let count = csystem_keyring_read(number, name, buffer.baseAddress, buffer.count)
        initialized = (0...limit).contains(count) ? count : 0
      }
    }
    guard secret.count > 0 else { return nil }
    return secret
  }

  /// Ends what is kept as `name`. Returns false if nothing is.
  func end(_ name: String) -> Bool { csystem_keyring_end(number, name) == 0 }
}

/// A keyring that cannot be used.
struct KeyringError: Error, Sendable, CustomStringConvertible {
  /// The kernel's errno.
  let number: Int32
  let attempt: String

  var description: String { "cannot \(attempt): \(Errno.text(number))" }
}
