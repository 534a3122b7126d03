package import Audit

extension VaultView {
  /// The newest checkpoint as the log has it, and the key that signed it: what an outsider needs to hold this vault to
  /// what it says today. Its signature was verified when the vault was opened.
  package var newestCheckpoint: (signed: SignedCheckpoint, member: String, key: NoteKey) {
    get throws {
      let (end, actor) = (known.end, known.end.last.member)
      guard let key = verifyingKey(of: actor) else {
        throw VaultError(.corrupt, "the newest checkpoint is by \(actor), who is not a member")
      }
      return (end.checkpoint, actor, try NoteKey(name: end.checkpoint.checkpoint.origin, key: key))
    }
  }

  /// The key of the owner who founded the vault, as the log's first entry has it. Whether it is theirs, only they can
  /// say.
  package var founderKey: NoteKey {
    get throws {
      guard let card = try authenticatedEntry(at: 0).details["owner"] else {
        throw VaultError(.corrupt, "the log's first entry names no owner")
      }
      return try NoteKey(name: known.end.checkpoint.checkpoint.origin, key: LogMember(card).signing)
    }
  }

  /// The entry at `index`, and the proof that the newest checkpoint covers it. Throws `notFound`.
  package func proof(ofEntry index: UInt64) throws -> (entry: LogEntry, proof: LogProof) {
    guard index < known.end.size else {
      throw VaultError(.notFound, "the log has entries 0 to \(known.end.size - 1), but no entry \(index)")
    }
    let entry = try authenticatedEntry(at: index)
    let path = try AuditLog.inclusionProof(of: index, size: known.end.size, in: transaction).path
    let proof = LogProof(index: index, path: path, checkpoint: known.end.checkpoint)
    try proof.verify(entry.bytes, by: newestCheckpoint.key.key)
    return (entry, proof)
  }
}
