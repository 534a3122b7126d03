import Sodium

extension AgeFile {
  /// Opens a binary file of any size, sealed to one of `identities`, in constant memory.
  ///
  /// `read` puts any number of bytes into the buffer and returns that number, 0 only at the end. `write` receives the
  /// plaintext in order, in pieces of at most 64 KiB. Each piece is authentic, but only when this returns is it certain
  /// that none is missing: a caller that uses a piece before then uses a file that may have been cut off.
  ///
  /// Throws `AgeError`, and whatever `read` and `write` throw.
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
    // Reads no further than the header needs, so that a slow input is opened as it arrives.
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
      // One byte more than a whole chunk shows whether this is the last one.
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
