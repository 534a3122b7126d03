import Sodium
import Testing

@Suite("Digests and key derivation")
struct KeyedDigestTests {
  @Test("SHA-256 gives the results of FIPS 180-4, whole or in pieces")
  func sha256() {
    #expect(
      SHA256.hash([]).bytes == hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
    let expected = hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(SHA256.hash(Array("abc".utf8)).bytes == expected)
    var hasher = SHA256()
    hasher.update(Array("a".utf8))
    hasher.update(Array("bc".utf8).span.bytes)
    #expect(hasher.finalize().bytes == expected)
  }

  @Test("BLAKE2b gives the result of RFC 7693, Appendix A")
  func blake2b() throws {
    let expected = hex(
      """
      ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc95
      18d38aa8dbf1925ab92386edd4009923
      """)
    #expect(try BLAKE2b.hash(Array("abc".utf8), size: 64) == expected)
    #expect(throws: SodiumError.self) { _ = try BLAKE2b.hash([], size: 15) }
    #expect(throws: SodiumError.self) { _ = try BLAKE2b.hash([], size: 65) }
  }

  @Test(
    "HMAC-SHA-256 gives the results of RFC 4231",
    arguments: [
      (
        [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
      ),
      (
        Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
      ),
      (
        [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
      ),
      (
        [UInt8](1...25), [UInt8](repeating: 0xcd, count: 50),
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
      ),
      (
        [UInt8](repeating: 0xaa, count: 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
      ),
    ])
  func hmac(key: [UInt8], message: [UInt8], expected: String) {
    let (first, second) = (Array(message[..<3]), Array(message[3...]))
    #expect(HMACSHA256.code(of: message, key: key.span.bytes) == hex(expected))
    #expect(HMACSHA256.code(of: first, second, key: key.span.bytes) == hex(expected))
    #expect(HMACSHA256.code(of: message.span.bytes, key: key.span.bytes) == hex(expected))
    #expect(HMACSHA256.isValid(hex(expected), of: first, second, key: key.span.bytes) == true)
    #expect(HMACSHA256.isValid(hex(expected), of: first, second + [0], key: key.span.bytes) == false)
    #expect(HMACSHA256.isValid(Array(hex(expected).dropLast()), of: message, key: key.span.bytes) == false)
    #expect(HMACSHA256.isValid([], of: message, key: key.span.bytes) == false)
  }

  @Test(
    "HKDF-SHA-256 gives the results of RFC 5869, A.1 to A.3",
    arguments: [
      (
        [UInt8](repeating: 0x0b, count: 22), [UInt8](0...12), [UInt8](0xf0...0xf9),
        """
        3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865
        """
      ),
      (
        [UInt8](0...0x4f), [UInt8](0x60...0xaf), [UInt8](0xb0...0xff),
        """
        b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09
        da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87
        """
      ),
      (
        [UInt8](repeating: 0x0b, count: 22), [], [],
        """
        8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8
        """
      ),
    ])
  func hkdf(inputKey: [UInt8], salt: [UInt8], info: [UInt8], expected: String) throws {
    let output = try HKDFSHA256.derive(
      inputKey: inputKey.span.bytes, salt: salt, info: info, count: hex(expected).count)
    #expect(output.withUnsafeBytes { Array($0) } == hex(expected))
  }

  @Test("HKDF gives up to 8160 bytes, and refuses to give one more or none")
  func hkdfLimit() throws {
    let key = [UInt8](repeating: 1, count: 32)
    #expect(try HKDFSHA256.derive(inputKey: key.span.bytes, salt: [], info: "", count: 8_160).count == 8_160)
    for count in [0, -1, 8_161] {
      #expect(throws: SodiumError.self) {
        _ = try HKDFSHA256.derive(inputKey: key.span.bytes, salt: [], info: "", count: count)
      }
    }
  }

  @Test("scrypt gives the result of RFC 7914 §12 for block size 8, and refuses work factors out of range")
  func scrypt() throws {
    let key = try Scrypt.key(
      passphrase: Array("pleaseletmein".utf8).span.bytes, salt: Array("SodiumChloride".utf8), workFactor: 14)
    // The RFC prints 64 bytes; the first 32 do not depend on how many are asked for.
    #expect(
      key.withUnsafeBytes { Array($0) } == hex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"))
    for workFactor in [0, -1, 23] {
      #expect(throws: SodiumError.self) {
        _ = try Scrypt.key(passphrase: [UInt8]().span.bytes, salt: [], workFactor: workFactor)
      }
    }
  }
}
