import Age
import Synchronization

/// The vault key as an owner holds it while the vault is open. Another owner may renew it meanwhile: then the one that
/// the header names is opened.
final class OwnersKey: Sendable {
  private let identity: Identity
  private let keyFile: @Sendable (VaultHeader) throws -> [UInt8]
  /// By ID: a task that began under an older one may still need it.
  private let keys: Mutex<[String: VaultKey]>

  init(
    of header: VaultHeader, _ identity: Identity, _ keyFile: @escaping @Sendable (VaultHeader) throws -> [UInt8]
  ) throws {
    self.identity = identity
    self.keyFile = keyFile
    // The log says that this is an owner, and the key is sealed to every owner.
    let key = try Self.open(keyFile(header), header, identity, orElse: .corrupt)
    keys = Mutex([key.id: key])
  }

  /// The key that `header` names.
  func key(of header: VaultHeader) throws -> VaultKey {
    if let held = keys.withLock({ $0[header.keyID] }) { return held }
    let key = try Self.open(keyFile(header), header, identity, orElse: .notPermitted)
    keys.withLock { $0[key.id] = key }
    return key
  }

  /// Throws `refusal` if the file is not sealed to `identity`: either the file was altered, or it is no longer an
  /// owner's.
  private static func open(
    _ keyFile: [UInt8], _ header: VaultHeader, _ identity: Identity, orElse refusal: VaultError.Code
  ) throws -> VaultKey {
    let key: VaultKey
    do {
      key = try VaultKey(AgeFile.open(keyFile.span.bytes, with: [identity.age]))
    } catch let error as AgeError {
      throw VaultError(
        error.code == .noMatchingIdentity ? refusal : .corrupt, "the vault key does not open: \(error)")
    }
    guard key.id == header.keyID else {
      throw VaultError(.corrupt, "the key file holds key \(key.id), expected \(header.keyID)")
    }
    return key
  }
}
