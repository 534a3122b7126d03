package import Sodium

/// Seals an age file of any size piece by piece, in constant memory. Binary, never armored.
///
/// The plaintext passes through ordinary memory: this is for what is not secret by itself, as a backup's ciphertext is.
package final class AgeSealer {
  private let key: SharedSecret
  private let output: (RawSpan) throws -> Void
  /// What is not sealed yet: the last chunk is marked, and so is known only at the end.
  private var pending: [UInt8] = []
  private var index = 0

  /// Writes the header of a file sealed to every one of `recipients`, of whom there is at least one. `output` takes what is
  /// sealed, in order; what it throws is thrown here.
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
      // Only now: a full chunk may have been the last one.
      if pending.count == Payload.chunkSize { try sealPending(isFinal: false) }
      let end = min(plaintext.byteCount, start + Payload.chunkSize - pending.count)
      plaintext.extracting(start..<end).withUnsafeBytes { pending.append(contentsOf: $0) }
      start = end
    }
  }

  /// Seals what is left. Without this the file is one that was cut off, and nobody opens it.
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
