package import Sodium

/// A proof that anyone can check offline: an entry's index, its path, and the checkpoint it leads to
/// (c2sp.org/tlog-proof, file extension `.tlog-proof`). It does not hold the entry itself.
package struct LogProof: Hashable, Sendable {
  private static let header = "c2sp.org/tlog-proof@v1"

  package let index: UInt64
  package let path: [SHA256Digest]
  package let checkpoint: SignedCheckpoint

  package init(index: UInt64, path: [SHA256Digest], checkpoint: SignedCheckpoint) {
    self.index = index
    self.path = path
    self.checkpoint = checkpoint
  }

  /// Reads a proof that fills `bytes`. Extra data, which nothing authenticates, is refused: we define none.
  package init(decoding bytes: [UInt8]) throws(AuditError) {
    func malformed(_ expected: String) -> AuditError { AuditError(.malformed, "a log proof: expected \(expected)") }
    let newlines = bytes.indices.dropLast().filter { bytes[$0] == 0x0A && bytes[$0 + 1] == 0x0A }
    guard let end = newlines.first, let head = String(validating: bytes[..<end], as: UTF8.self) else {
      throw malformed("text with an empty line")
    }
    let lines = head.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard lines[0] == Self.header else { throw malformed(Self.header) }
    guard lines.count > 1, lines[1].hasPrefix("index "), let index = strictDecimal(lines[1].dropFirst(6)) else {
      throw malformed("a line \"index N\"")
    }
    var path: [SHA256Digest] = []
    for line in lines[2...] {
      // No tree of 2^64 leaves is deeper.
      guard path.count < 64, let hash = [UInt8](base64: line), let digest = try? SHA256Digest(hash) else {
        throw malformed("at most 64 lines of base64 of 32 bytes")
      }
      path.append(digest)
    }
    self.index = index
    self.path = path
    checkpoint = try SignedCheckpoint(decoding: Array(bytes[(end + 2)...]))
  }

  /// The proof as it is stored and sent.
  package var bytes: [UInt8] {
    let lines = [Self.header, "index \(index)"] + path.map { $0.bytes.base64 }
    return Array((lines.joined(separator: "\n") + "\n\n").utf8) + checkpoint.bytes
  }

  /// Fails unless `entry` is at `index` of the log whose checkpoint `key` signed.
  package func verify(_ entry: [UInt8], by key: VerifyingKey) throws(AuditError) {
    try checkpoint.verify(by: key)
    try InclusionProof(index: index, size: checkpoint.checkpoint.size, path: path)
      .verify(leafHash: MerkleTree.leafHash(entry), root: checkpoint.checkpoint.root)
  }
}
