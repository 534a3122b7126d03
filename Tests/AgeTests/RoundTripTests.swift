import Sodium
import Testing

@testable import Age

@Suite("Sealing and opening")
struct RoundTripTests {
  let identity: AgeIdentity
  let other: AgeIdentity
  let message: [UInt8] = [1, 2, 3]

  init() throws {
    identity = try AgeIdentity(generating: .system)
    other = try AgeIdentity(generating: .system)
  }

  static let sizes = [0, 1, 65_535, 65_536, 65_537, 204_800]

  @Test("a file opens to what was sealed", arguments: sizes, [false, true])
  func roundTrip(size: Int, armored: Bool) throws {
    let plaintext = try Randomness.system.secret(size)
    let file = try AgeFile.seal(
      plaintext.bytes, to: [identity.recipient], randomness: .system, armored: armored)
    let opened = try AgeFile.open(file.span.bytes, with: [identity])
    let isSame = opened.isEqual(to: plaintext)
    #expect(isSame)
    #expect(file.starts(with: (armored ? "-----BEGIN AGE" : "age-encryption.org/v1\n-> X25519 ").utf8))
  }

  @Test("files sealed or opened in pieces are ordinary files of any size", arguments: sizes, [1, 999, 1 << 20])
  func pieces(size: Int, step: Int) throws {
    guard size / step < 10_000 else { return }
    let plaintext = Randomness.system.bytes(size)
    let file = try sealedInPieces(plaintext, step, [other.recipient, identity.recipient])
    #expect(try contents(AgeFile.open(file.span.bytes, with: [identity])) == plaintext)
    let whole = try AgeFile.seal(plaintext.span.bytes, to: [identity.recipient], randomness: .system, armored: false)
    #expect(try openedInPieces(whole, step, [identity]) == plaintext)
    #expect(throws: AgeError(.noMatchingIdentity, "")) {
      try openedInPieces(file, step, [AgeIdentity(generating: .system)])
    }
  }

  @Test("opening piece by piece refuses a file that is cut off, unfinished, too long or armored")
  func cutOff() throws {
    let plaintext = Randomness.system.bytes(Payload.chunkSize * 2)
    let file = try sealedInPieces(plaintext, 5_000, [identity.recipient])
    let payload = file.count - 2 * (Payload.chunkSize + 16) - Payload.nonceSize
    let chunk = payload + Payload.nonceSize + Payload.chunkSize + 16
    for end in [payload, payload + 16, payload + 40, chunk - 1, chunk, chunk + 1, chunk + 16, file.count - 1] {
      let code: AgeError.Code = end < payload + 16 ? .malformedHeader : .corruptPayload
      #expect(throws: AgeError(code, "")) { try openedInPieces(Array(file[..<end]), 777, [identity]) }
    }
    #expect(throws: AgeError(.corruptPayload, "")) { try openedInPieces(file + [0], 777, [identity]) }
    let unfinished = try sealedInPieces(plaintext, 5_000, [identity.recipient], isFinished: false)
    #expect(throws: AgeError(.corruptPayload, "")) { try openedInPieces(unfinished, 777, [identity]) }
    let armored = try AgeFile.seal(message.span.bytes, to: [identity.recipient], randomness: .system, armored: true)
    #expect(throws: AgeError(.notAnAgeFile, "")) { try openedInPieces(armored, 777, [identity]) }
    #expect(throws: AgeError(.nothingToSealTo, "")) { try sealedInPieces(message, 1, []) }
  }

  @Test("a payload that ends with a full chunk has no empty chunk after it")
  func fullChunk() throws {
    let fileKey = try Randomness.system.secret(FileKey.size)
    let plaintext = [UInt8](repeating: 7, count: 2 * Payload.chunkSize)
    let payload = try Payload.seal(plaintext.span.bytes, fileKey: fileKey, randomness: .system)
    #expect(payload.count == Payload.nonceSize + 2 * (Payload.chunkSize + 16))
  }

  @Test("each of several recipients opens the file, alone or beside a stranger; a stranger does not")
  func severalRecipients() throws {
    let stranger = try AgeIdentity(generating: .system)
    let file = try AgeFile.seal(
      message.span.bytes, to: [other.recipient, identity.recipient], randomness: .system, armored: false)
    for identities in [[identity], [other], [stranger, identity]] {
      #expect(try contents(AgeFile.open(file.span.bytes, with: identities)) == message)
    }
    #expect(throws: AgeError(.noMatchingIdentity, "")) { _ = try AgeFile.open(file.span.bytes, with: [stranger]) }
    #expect(throws: AgeError(.noMatchingIdentity, "")) { _ = try AgeFile.open(file.span.bytes, with: []) }
  }

  @Test("only its passphrase opens a file, and only within the work factor allowed", arguments: [false, true])
  func passphrase(armored: Bool) throws {
    let passphrase = Array("correct horse".utf8)
    let wrong = Array("correct house".utf8)
    let file = try AgeFile.seal(
      message.span.bytes, passphrase: passphrase.span.bytes, workFactor: 4, randomness: .system, armored: armored)
    #expect(try contents(AgeFile.open(file.span.bytes, passphrase: passphrase.span.bytes)) == message)
    #expect(throws: AgeError(.wrongPassphrase, "")) {
      _ = try AgeFile.open(file.span.bytes, passphrase: wrong.span.bytes)
    }
    #expect(throws: AgeError(.workFactorOutOfRange, "")) {
      _ = try AgeFile.open(file.span.bytes, passphrase: passphrase.span.bytes, maximumWorkFactor: 3)
    }
    #expect(throws: AgeError(.noMatchingIdentity, "")) { _ = try AgeFile.open(file.span.bytes, with: [identity]) }
    #expect(try AgeFile.kind(of: file.span.bytes) == .passphrase)
  }

  @Test("what is needed to open a file is known before anything is opened")
  func kind() throws {
    let file = try AgeFile.seal(message.span.bytes, to: [identity.recipient], randomness: .system, armored: true)
    #expect(try AgeFile.kind(of: file.span.bytes) == .recipients)
    let identityFile = try AgeIdentityFile(identity).encoded(created: "2026-01-02T15:30:45Z")
    #expect(try AgeFile.kind(of: identityFile.bytes) == nil)
    #expect(try AgeFile.kind(of: [UInt8]().span.bytes) == nil)
    let later = Array("age-encryption.org/v2\n".utf8)
    #expect(throws: AgeError(.unsupportedVersion, "")) { _ = try AgeFile.kind(of: later.span.bytes) }
    let key = Array("-----BEGIN OPENSSH PRIVATE KEY-----\n".utf8)
    #expect(throws: AgeError(.malformedArmor, "")) { _ = try AgeFile.kind(of: key.span.bytes) }
  }

  @Test("sealing to nobody, with an empty passphrase or with a work factor out of range is refused")
  func sealingToNobody() throws {
    #expect(throws: AgeError(.nothingToSealTo, "")) {
      _ = try AgeFile.seal(message.span.bytes, to: [], randomness: .system, armored: false)
    }
    #expect(throws: AgeError(.nothingToSealTo, "")) {
      _ = try AgeFile.seal(message.span.bytes, passphrase: [UInt8]().span.bytes, randomness: .system, armored: false)
    }
    for workFactor in [0, -1, 23, Int.max] {
      #expect(throws: AgeError(.workFactorOutOfRange, "")) {
        _ = try AgeFile.seal(
          message.span.bytes, passphrase: message.span.bytes, workFactor: workFactor, randomness: .system,
          armored: false)
      }
    }
  }

  @Test("a plaintext, file or header over its maximum size is refused")
  func tooLarge() throws {
    let plaintext = [UInt8](repeating: 0, count: AgeFile.maximumPlaintextSize + 1)
    #expect(throws: AgeError(.tooLarge, "")) {
      _ = try AgeFile.seal(plaintext.span.bytes, to: [identity.recipient], randomness: .system, armored: false)
    }
    let file = [UInt8](repeating: 0x20, count: AgeFile.maximumFileSize + 1)
    #expect(throws: AgeError(.tooLarge, "")) { _ = try AgeFile.open(file.span.bytes, with: [identity]) }
    let header = Array("age-encryption.org/v1\n-> ".utf8) + [UInt8](repeating: 0x41, count: Header.maximumSize)
    #expect(throws: AgeError(.tooLarge, "")) { _ = try AgeFile.open(header.span.bytes, with: [identity]) }
  }
}

/// `plaintext` sealed in pieces of `step` bytes.
func sealedInPieces(
  _ plaintext: [UInt8], _ step: Int, _ recipients: [AgeRecipient], isFinished: Bool = true
) throws -> [UInt8] {
  var file: [UInt8] = []
  let sealer = try AgeSealer(to: recipients, randomness: .system) { piece in
    piece.withUnsafeBytes { file.append(contentsOf: $0) }
  }
  for start in stride(from: 0, to: plaintext.count, by: step) {
    try sealer.append(Array(plaintext[start..<min(start + step, plaintext.count)]).span.bytes)
  }
  if isFinished { try sealer.finish() }
  return file
}

/// The plaintext of `file`, which is read in pieces of at most `step` bytes.
func openedInPieces(_ file: [UInt8], _ step: Int, _ identities: [AgeIdentity]) throws -> [UInt8] {
  var rest = file[...]
  var plaintext: [UInt8] = []
  try AgeFile.open(with: identities) { buffer in
    let piece = rest.prefix(min(step, buffer.count))
    rest = rest.dropFirst(piece.count)
    buffer.copyBytes(from: piece)
    return piece.count
  } writing: { piece in
    #expect(piece.byteCount <= Payload.chunkSize)
    piece.withUnsafeBytes { plaintext.append(contentsOf: $0) }
  }
  return plaintext
}

/// An ordinary copy of an opened secret, for comparing with literals.
func contents(_ secret: consuming SecretBytes) -> [UInt8] { secret.withUnsafeBytes { Array($0) } }
