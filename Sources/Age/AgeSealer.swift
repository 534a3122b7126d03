package import Sodium

/// Seals an age file of any size piece by piece, in constant memory. Binary, never armored.
///
/// The plaintext passes through ordinary memory: this is for data that is not itself secret, such as a backup's
/// ciphertext.
package final class AgeSealer {
  private let key: SharedSecret
  private let output: (RawSpan) throws -> Void
  /// Plaintext not sealed yet. The last chunk is marked as such, and which one that is only the end shows.
  private var pending: [UInt8] = []
  private var index = 0

  /// Writes the header of a file sealed to each of `recipients`, of whom there must be at least one. `output` receives
  /// the sealed bytes in order; what it throws is thrown here.
  package init(
    to recipients: [AgeRecipient], randomness: Randomness, output: @escaping (RawSpan) throws -> Void
  ) throws {
    let (header, fileKey) = try AgeFile.header(to: recipients, randomness: randomness)
    let nonce = randomness.bytes(Payload.nonceSize)
    key = SharedSecret(try Payload.payloadKey(of: fileKey.secret, nonce: nonce))
    self.output = output
    pending.reserveCapacity(Payload.chunkSize)
    try output((header + nonce).span.bytes)
  }

  /// Adds `plaintext`, which may have any size.
  package func append(_ plaintext: RawSpan) throws {
    var start = 0
    while start < plaintext.byteCount {
      // Only now that more has come: until then, a full chunk may be the last one.
      if pending.count == Payload.chunkSize { try sealPending(isFinal: false) }
      let end = min(plaintext.byteCount, start + Payload.chunkSize - pending.count)
      plaintext.extracting(start..<end).withUnsafeBytes { pending.append(contentsOf: $0) }
      start = end
    }
  }

  /// Seals the rest. Without this the file counts as cut off and does not open.
  package func finish() throws { try sealPending(isFinal: true) }

  private func sealPending(isFinal: Bool) throws {
    let chunk = pending
    let nonce = Payload.chunkNonce(index, isFinal: isFinal)
    let sealed = try key.secret.withBytes { try ChaCha20Poly1305.seal(chunk.span.bytes, key: $0, nonce: nonce) }
    index += 1
    pending.removeAll(keepingCapacity: true)
    try output(sealed.span.bytes)
  }
}
