package import Audit

/// Writes the plaintext of a backup: a POSIX archive (ustar) of a vault's folder, as vault/backup.md specifies it.
package struct BackupArchive {
  private let modified: Timestamp
  private let output: (RawSpan) throws -> Void

  /// `output` takes the archive's bytes in order; what it throws is thrown here.
  package init(modified: Timestamp, output: @escaping (RawSpan) throws -> Void) {
    self.modified = modified
    self.output = output
  }

  /// Writes all of it: the key files, by identifier, and a database of `databaseSize` bytes, which `database` hands
  /// over in pieces. Throws `invalidInput` if the database is too large for the format, `corrupt` if it has another
  /// size, or a key file has a size that no key file can have.
  package func write(
    keyFiles: [(id: Identifier, content: [UInt8])], databaseSize: Int,
    database: ((RawSpan) throws -> Void) throws -> Void
  ) throws {
    guard databaseSize <= BackupHeader.maximumFileSize else {
      throw VaultError(
        .invalidInput, "the vault has \(databaseSize) bytes, a backup holds at most \(BackupHeader.maximumFileSize)")
    }
    // What restoring would refuse is refused here, while the vault is still there.
    for (id, content) in keyFiles where !BackupHeader.keyFileSizes.contains(content.count) {
      throw VaultError(
        .corrupt,
        "the key file keys/\(id).age has \(content.count) bytes, expected 1 to \(BackupHeader.keyFileSizes.upperBound)")
    }
    try put(BackupHeader(.keysFolder, modified: modified).bytes)
    for (id, content) in keyFiles.sorted(by: { $0.id.description < $1.id.description }) {
      let header = BackupHeader(.keyFile(id: id), size: content.count, modified: modified)
      try put(header.bytes + content + zeros(header.padding))
    }
    let header = BackupHeader(.database, size: databaseSize, modified: modified)
    try put(header.bytes)
    var written = 0
    try database { piece in
      written += piece.byteCount
      try output(piece)
    }
    guard written == databaseSize else {
      throw VaultError(.corrupt, "the vault's copy has \(written) bytes, expected \(databaseSize)")
    }
    try put(zeros(header.padding + 2 * BackupHeader.size))
  }

  private func put(_ bytes: [UInt8]) throws { try output(bytes.span.bytes) }

  private func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
}
