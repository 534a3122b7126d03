import Sodium

extension AgeFile {
  /// Opens a binary file of any size, sealed to one of `identities`, in constant memory.
  ///
  /// `read` fills the buffer it is given as far as it likes and returns how many bytes that are, 0 only at the end. `write`
  /// takes the plaintext in order, in pieces of at most 64 KiB. Each piece is authentic; that they are all of it is known
  /// only when this returns. Whoever uses one before that uses a file that may have been cut off.
  ///
  /// Throws `AgeError`, and what `read` and `write` throw.
  package static func open(
    with identities: [AgeIdentity], reading read: (UnsafeMutableRawBufferPointer) throws -> Int,
    writing write: (RawSpan) throws -> Void
  ) throws {
    var input: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: Payload.chunkSize)
    var hasEnded = false
    func fill(_ count: Int) throws {
      while !hasEnded, input.count < count {
        let room = min(piece.count, count - input.count)
        let got = try piece.withUnsafeMutableBytes { try read(UnsafeMutableRawBufferPointer(rebasing: $0[..<room])) }
        input += piece[..<got]
        hasEnded = got == 0
      }
    }
    // No further than the header needs, so that what comes slowly is opened as it comes.
    while !hasEnded, input.count < Header.maximumSize, !Header.isWhole(in: input) {
      try fill(min(input.count + Payload.chunkSize, Header.maximumSize))
    }
    if Armor.isArmored(input.span.bytes) {
      throw AgeError(.notAnAgeFile, "file is armored, expected a binary age file")
    }
    let header = try Header(parsing: input.span.bytes)
    let fileKey = try fileKey(in: Stanzas(in: header), with: identities)
    try header.authenticate(with: fileKey)
    input.removeFirst(header.size)
    try fill(Payload.nonceSize)
    let key = try Payload.payloadKey(of: fileKey, nonce: Payload.nonce(in: input.span.bytes))
    input.removeFirst(Payload.nonceSize)
    var index = 0
    while true {
      // One byte more than the chunk has, which tells whether it is the last.
      try fill(Payload.sealedChunkSize + 1)
      let isFinal = input.count <= Payload.sealedChunkSize
      let size = min(input.count, Payload.sealedChunkSize)
      let chunk = try Payload.openChunk(
        input.span.bytes.extracting(first: size), index, isFinal: isFinal, key: key)
      try write(chunk.bytes)
      if isFinal { return }
      input.removeFirst(size)
      index += 1
    }
  }
}
