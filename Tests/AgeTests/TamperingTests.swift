import Sodium
import Testing

@testable import Age

@Suite("Tampering")
struct TamperingTests {
  let identity: AgeIdentity
  let passphrase = Array("password".utf8)
  let plaintext = Array("client_secret".utf8)

  init() throws { identity = try AgeIdentity(generating: .system) }

  @Test("a file sealed to an identity is refused with any bit flipped", arguments: [false, true])
  func identityFlips(armored: Bool) throws {
    let file = try AgeFile.seal(
      plaintext.span.bytes, to: [identity.recipient], randomness: .system, armored: armored)
    try expectEveryFlipRefused(file) { try AgeFile.open($0, with: [identity]) }
  }

  @Test("a file sealed with a passphrase is refused with any bit flipped", arguments: [false, true])
  func passphraseFlips(armored: Bool) throws {
    let file = try AgeFile.seal(
      plaintext.span.bytes, passphrase: passphrase.span.bytes, workFactor: 1, randomness: .system, armored: armored)
    // The cap keeps a flipped work factor, such as 9 instead of 1, from costing more than the test is worth.
    try expectEveryFlipRefused(file) {
      try AgeFile.open($0, passphrase: passphrase.span.bytes, maximumWorkFactor: 9)
    }
  }

  @Test("a file that is cut off anywhere or has a trailing byte is refused", arguments: [false, true])
  func lengths(armored: Bool) throws {
    let file = try AgeFile.seal(
      plaintext.span.bytes, to: [identity.recipient], randomness: .system, armored: armored)
    // Armor may lack its last line end.
    for count in 0..<(armored ? file.count - 1 : file.count) {
      #expect(throws: AgeError.self, "first \(count) of \(file.count) bytes") {
        _ = try AgeFile.open(Array(file[..<count]).span.bytes, with: [identity])
      }
    }
    for byte in UInt8.min...UInt8.max where !(armored && [0x09, 0x0A, 0x0D, 0x20].contains(byte)) {
      #expect(throws: AgeError.self, "with a trailing \(byte)") {
        _ = try AgeFile.open((file + [byte]).span.bytes, with: [identity])
      }
    }
  }

  @Test("chunks cannot be dropped, swapped, repeated or followed by an empty one")
  func chunks() throws {
    let fileKey = try Randomness.system.secret(FileKey.size)
    let size = Payload.chunkSize + ChaCha20Poly1305.tagSize
    let payload = try Payload.seal(
      [UInt8](repeating: 1, count: 3 * Payload.chunkSize).span.bytes, fileKey: fileKey, randomness: .system)
    let nonce = Array(payload[..<Payload.nonceSize])
    let chunks = (0..<3).map { Array(payload[(nonce.count + $0 * size)..<(nonce.count + ($0 + 1) * size)]) }
    for order in [[0, 1], [0, 2], [1, 2], [2], [1, 0, 2], [0, 1, 1, 2], [0, 1, 2, 2], []] {
      let altered = nonce + order.flatMap { chunks[$0] }
      #expect(throws: AgeError(.corruptPayload, ""), "chunks \(order)") {
        _ = try Payload.open(altered.span.bytes, fileKey: fileKey)
      }
    }
    #expect(throws: AgeError(.corruptPayload, "")) {
      _ = try Payload.open((payload + [UInt8](repeating: 0, count: 16)).span.bytes, fileKey: fileKey)
    }
  }

  @Test("an empty final chunk after a full one is refused even if its tag is right")
  func emptyFinalChunk() throws {
    let fileKey = try Randomness.system.secret(FileKey.size)
    let nonce = [UInt8](repeating: 3, count: Payload.nonceSize)
    let key = try HKDFSHA256.derive(inputKey: fileKey.bytes, salt: nonce, info: "payload")
    let full = [UInt8](repeating: 1, count: Payload.chunkSize)
    let first = try ChaCha20Poly1305.seal(
      full.span.bytes, key: key.bytes, nonce: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    let empty = try ChaCha20Poly1305.seal(
      [UInt8]().span.bytes, key: key.bytes, nonce: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
    #expect(throws: AgeError(.corruptPayload, "")) {
      _ = try Payload.open((nonce + first + empty).span.bytes, fileKey: fileKey)
    }
  }

  private func expectEveryFlipRefused(_ file: [UInt8], open: (RawSpan) throws -> SecretBytes) throws {
    #expect(try contents(open(file.span.bytes)) == plaintext)
    for bit in 0..<(file.count * 8) {
      var altered = file
      altered[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: AgeError.self, "bit \(bit % 8) of byte \(bit / 8)") { _ = try open(altered.span.bytes) }
    }
  }
}
