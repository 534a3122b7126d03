import Audit
import Storage

extension VaultView {
  /// Whether `member` has a key of `credential`: an owner always, others if a grant is stored for them. Whether the key
  /// opens is seen when it is tried; this only decides what to leave to others.
  package func canOpen(_ credential: Credential, _ member: Member) throws -> Bool {
    if member.card.role == .owner { return true }
    return try transaction.value(in: .grants, for: credential.id.bytes + Array(member.name.utf8)) != nil
  }
}
