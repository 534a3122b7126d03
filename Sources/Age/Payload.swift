import Sodium

/// The binary payload (c2sp.org/age, "Payload"): a nonce, then STREAM chunks of 64 KiB, the last one marked.
enum Payload {
  static let chunkSize = 64 * 1024
  static let nonceSize = 16
  static let sealedChunkSize = chunkSize + ChaCha20Poly1305.tagSize

  /// The nonce and the chunks of `plaintext`.
  static func seal(_ plaintext: RawSpan, fileKey: borrowing SecretBytes, randomness: Randomness) throws -> [UInt8] {
    let nonce = randomness.bytes(nonceSize)
    let key = try payloadKey(of: fileKey, nonce: nonce)
    var sealed = nonce
    let chunks = max(1, count(of: chunkSize, in: plaintext.byteCount))
    sealed.reserveCapacity(nonceSize + plaintext.byteCount + chunks * ChaCha20Poly1305.tagSize)
    for index in 0..<chunks {
      let start = index * chunkSize
      let chunk = plaintext.extracting(start..<min(start + chunkSize, plaintext.byteCount))
      sealed += try ChaCha20Poly1305.seal(
        chunk, key: key.bytes, nonce: chunkNonce(index, isFinal: index == chunks - 1))
    }
    return sealed
  }

  /// The plaintext, all or nothing: a payload that fails in its last chunk releases none of the chunks before it.
  static func open(_ payload: RawSpan, fileKey: borrowing SecretBytes) throws -> SecretBytes {
    let key = try payloadKey(of: fileKey, nonce: nonce(in: payload))
    let sealed = payload.extracting(droppingFirst: nonceSize)
    let chunks = count(of: sealedChunkSize, in: sealed.byteCount)
    // What is left is the last chunk. It has at least a tag, and more than a tag unless it is the only chunk.
    let last = sealed.byteCount - max(chunks - 1, 0) * sealedChunkSize
    guard last >= ChaCha20Poly1305.tagSize, last > ChaCha20Poly1305.tagSize || chunks == 1 else {
      throw AgeError(.corruptPayload, "payload ends with \(last) bytes, which are not a chunk")
    }
    let size = sealed.byteCount - chunks * ChaCha20Poly1305.tagSize
    guard size <= AgeFile.maximumPlaintextSize else {
      throw AgeError(.tooLarge, "plaintext has \(size) bytes, expected at most \(AgeFile.maximumPlaintextSize)")
    }
    return try SecretBytes(capacity: size) { output in
      for index in 0..<chunks {
        let start = index * sealedChunkSize
        let chunk = sealed.extracting(start..<min(start + sealedChunkSize, sealed.byteCount))
        do {
          try ChaCha20Poly1305.open(
            chunk, key: key.bytes, nonce: chunkNonce(index, isFinal: index == chunks - 1), into: &output)
        } catch let error as SodiumError where error.code == .notAuthentic {
          throw AgeError(.corruptPayload, "payload chunk \(index + 1) of \(chunks) does not authenticate")
        }
      }
    }
  }

  /// The nonce that `payload` begins with.
  static func nonce(in payload: RawSpan) throws -> [UInt8] {
    guard payload.byteCount >= nonceSize else {
      // The reference vectors count a missing nonce as a header failure: no part of the stream has begun.
      throw AgeError(.malformedHeader, "payload has \(payload.byteCount) bytes, expected a nonce of \(nonceSize)")
    }
    return payload.publicPrefix(nonceSize)
  }

  /// The plaintext of the one chunk at `index`.
  static func openChunk(
    _ sealed: RawSpan, _ index: Int, isFinal: Bool, key: borrowing SecretBytes
  ) throws -> SecretBytes {
    let least = ChaCha20Poly1305.tagSize + (index == 0 ? 0 : 1)
    guard sealed.byteCount >= least else {
      throw AgeError(.corruptPayload, "payload ends with \(sealed.byteCount) bytes, which are not a chunk")
    }
    do {
      return try ChaCha20Poly1305.open(sealed, key: key.bytes, nonce: chunkNonce(index, isFinal: isFinal))
    } catch let error as SodiumError where error.code == .notAuthentic {
      throw AgeError(.corruptPayload, "payload chunk \(index + 1) does not authenticate")
    }
  }

  static func payloadKey(of fileKey: borrowing SecretBytes, nonce: [UInt8]) throws -> SecretBytes {
    try HKDFSHA256.derive(inputKey: fileKey.bytes, salt: nonce, info: "payload")
  }

  /// 11 bytes of big-endian counter and one byte that says whether the stream ends here. No nonce repeats: the payload
  /// key belongs to this one file, and no disk holds 2^64 chunks.
  static func chunkNonce(_ index: Int, isFinal: Bool) -> [UInt8] {
    let counter = (0..<8).map { UInt8(truncatingIfNeeded: UInt64(index) >> (56 - 8 * UInt64($0))) }
    return [0, 0, 0] + counter + [isFinal ? 1 : 0]
  }

  private static func count(of size: Int, in total: Int) -> Int {
    total / size + (total % size == 0 ? 0 : 1)
  }
}
