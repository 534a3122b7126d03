import Sodium
import Testing

@Suite("Ciphers")
struct CipherTests {
  static let message = Array(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
      .utf8)
  static let key = [UInt8](0x80...0x9f)

  @Test("XChaCha20-Poly1305 gives the result of draft-irtf-cfrg-xchacha-03, A.3.1")
  func xchacha() throws {
    let nonce = [UInt8](0x40...0x57)
    let associatedData = hex("50515253c0c1c2c3c4c5c6c7")
    let expected = hex(
      """
      bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39
      ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9
      21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49
      """)
    let sealed = try XChaCha20Poly1305.seal(
      Self.message.span.bytes, key: Self.key.span.bytes, nonce: nonce, associatedData: associatedData)
    #expect(sealed == expected)
    let opened = try XChaCha20Poly1305.open(
      sealed.span.bytes, key: Self.key.span.bytes, nonce: nonce, associatedData: associatedData)
    #expect(opened.withUnsafeBytes { Array($0) } == Self.message)
  }

  @Test("ChaCha20-Poly1305 gives the ciphertext of RFC 8439 §2.8.2")
  func chacha() throws {
    let nonce = hex("070000004041424344454647")
    let ciphertext = hex(
      """
      d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b
      1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
      3ff4def08e4b7a9de576d26586cec64b6116
      """)
    // The RFC's tag covers associated data, which age lacks. This tag was computed without any, in another language.
    let tag = hex("6a23a4681fd59456aea1d29f82477216")
    let sealed = try ChaCha20Poly1305.seal(Self.message.span.bytes, key: Self.key.span.bytes, nonce: nonce)
    #expect(sealed == ciphertext + tag)
    let opened = try ChaCha20Poly1305.open(sealed.span.bytes, key: Self.key.span.bytes, nonce: nonce)
    #expect(opened.withUnsafeBytes { Array($0) } == Self.message)
  }

  @Test("sealed bytes are refused with any bit flipped, even if the message is empty", arguments: [0, 1, 64])
  func tampering(size: Int) throws {
    let message = [UInt8](repeating: 7, count: size)
    let short = try ChaCha20Poly1305.seal(
      message.span.bytes, key: Self.key.span.bytes, nonce: hex("070000004041424344454647"))
    let long = try XChaCha20Poly1305.seal(
      message.span.bytes, key: Self.key.span.bytes, nonce: [UInt8](0x40...0x57), associatedData: [1])
    for bit in 0..<(short.count * 8) {
      #expect(throws: SodiumError.self) {
        _ = try ChaCha20Poly1305.open(
          flip(bit, of: short).span.bytes, key: Self.key.span.bytes, nonce: hex("070000004041424344454647"))
      }
      #expect(throws: SodiumError.self) {
        _ = try XChaCha20Poly1305.open(
          flip(bit, of: long).span.bytes, key: Self.key.span.bytes, nonce: [UInt8](0x40...0x57), associatedData: [1])
      }
    }
    #expect(throws: SodiumError.self) {
      _ = try XChaCha20Poly1305.open(
        long.span.bytes, key: Self.key.span.bytes, nonce: [UInt8](0x40...0x57), associatedData: [2])
    }
  }

  @Test("wrong sizes of keys, nonces and sealed bytes are errors")
  func sizes() {
    let nonce = [UInt8](repeating: 0, count: 12)
    for (key, nonce, sealed) in [(31, 12, 16), (33, 12, 16), (32, 11, 16), (32, 13, 16), (32, 12, 15), (32, 12, 0)] {
      let error = #expect(throws: SodiumError.self) {
        _ = try ChaCha20Poly1305.open(
          zeros(sealed).span.bytes, key: zeros(key).span.bytes, nonce: zeros(nonce))
      }
      #expect(error?.code == .wrongSize)
    }
    #expect(throws: SodiumError.self) {
      _ = try ChaCha20Poly1305.seal(zeros(1).span.bytes, key: zeros(16).span.bytes, nonce: nonce)
    }
    #expect(throws: SodiumError.self) {
      _ = try XChaCha20Poly1305.seal(zeros(1).span.bytes, key: zeros(32).span.bytes, nonce: nonce, associatedData: [])
    }
  }

  @Test("chunks are opened one after another into one secret, which must have room for them")
  func openingInto() throws {
    let nonces = [zeros(12), [UInt8](repeating: 1, count: 12)]
    let chunks = try [[UInt8](1...4), [UInt8](5...9)].enumerated().map { index, chunk in
      try ChaCha20Poly1305.seal(chunk.span.bytes, key: Self.key.span.bytes, nonce: nonces[index])
    }
    func join(capacity: Int) throws -> [UInt8] {
      let joined = try SecretBytes(capacity: capacity) { output in
        for (chunk, nonce) in zip(chunks, nonces) {
          try ChaCha20Poly1305.open(chunk.span.bytes, key: Self.key.span.bytes, nonce: nonce, into: &output)
        }
      }
      return joined.withUnsafeBytes { Array($0) }
    }
    #expect(try join(capacity: 9) == [UInt8](1...9))
    #expect(try join(capacity: 12) == [UInt8](1...9))
    #expect(throws: SodiumError.self) { _ = try join(capacity: 8) }
  }

  private func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

  private func flip(_ bit: Int, of bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    bytes[bit / 8] ^= 1 << UInt8(bit % 8)
    return bytes
  }
}
