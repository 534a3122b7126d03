import Sodium
import Testing

@Suite("Curves")
struct CurveTests {
  @Test("X25519 gives the results of RFC 7748 §6.1, from both sides", arguments: [false, true])
  func x25519(isSwapped: Bool) throws {
    let alice = (
      secret: hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
      point: hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    )
    let bob = (
      secret: hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
      point: hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    )
    let (our, their) = isSwapped ? (bob, alice) : (alice, bob)
    #expect(try X25519.publicKey(of: our.secret.span.bytes) == our.point)
    let shared = try X25519.sharedSecret(of: our.secret.span.bytes, with: their.point)
    #expect(
      shared.withUnsafeBytes { Array($0) } == hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"))
  }

  @Test(
    "X25519 refuses points of low order",
    arguments: [
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ])
  func lowOrder(point: String) {
    let secret = [UInt8](repeating: 0x42, count: 32)
    let error = #expect(throws: SodiumError.self) {
      _ = try X25519.sharedSecret(of: secret.span.bytes, with: hex(point))
    }
    #expect(error?.code == .notAuthentic)
  }

  @Test("X25519 refuses keys of the wrong size", arguments: [0, 31, 33])
  func keySizes(size: Int) {
    let key = [UInt8](repeating: 9, count: size)
    let other = [UInt8](repeating: 9, count: 32)
    #expect(throws: SodiumError.self) { _ = try X25519.publicKey(of: key.span.bytes) }
    #expect(throws: SodiumError.self) { _ = try X25519.sharedSecret(of: key.span.bytes, with: other) }
    #expect(throws: SodiumError.self) { _ = try X25519.sharedSecret(of: other.span.bytes, with: key) }
  }

  @Test(
    "Ed25519 gives the results of RFC 8032 §7.1, tests 1 to 3",
    arguments: [
      (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        """
        e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b
        d25bf5f0595bbe24655141438e7a100b
        """
      ),
      (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        """
        92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c
        387b2eaeb4302aeeb00d291612bb0c00
        """
      ),
      (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        """
        6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659
        4a7c15e9716ed28dc027beceea1ec40a
        """
      ),
    ])
  func ed25519(seed: String, publicKey: String, message: String, signature: String) throws {
    let key = try SigningKey(seed: hex(seed).span.bytes)
    #expect(key.verifyingKey.bytes == hex(publicKey))
    #expect(key.sign(hex(message)) == hex(signature))
    #expect(key.verifyingKey.isValid(hex(signature), of: hex(message)))
    for bit in 0..<(SigningKey.signatureSize * 8) {
      var altered = hex(signature)
      altered[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(!key.verifyingKey.isValid(altered, of: hex(message)))
    }
    #expect(!key.verifyingKey.isValid(hex(signature), of: hex(message) + [0]))
    #expect(!key.verifyingKey.isValid([], of: hex(message)))
  }

  @Test("Ed25519 refuses keys and seeds of the wrong size", arguments: [0, 31, 33])
  func signingKeySizes(size: Int) {
    let bytes = [UInt8](repeating: 9, count: size)
    #expect(throws: SodiumError.self) { _ = try SigningKey(seed: bytes.span.bytes) }
    #expect(throws: SodiumError.self) { _ = try VerifyingKey(bytes) }
  }
}
