import CSodium

/// HMAC-SHA-256 (RFC 2104) with keys of any length.
package enum HMACSHA256 {
  package static let size = 32

  /// The 32-byte code of the concatenated `parts`.
  package static func code(of parts: [UInt8]..., key: RawSpan) -> [UInt8] {
    makeBytes(size) { write(parts, key: key, to: $0) }
  }

  /// The 32-byte code of `secret`, which is not copied. It says nothing of a secret to anybody without the key.
  package static func code(of secret: RawSpan, key: RawSpan) -> [UInt8] {
    makeBytes(size) { output in
      var state = crypto_auth_hmacsha256_state()
      _ = key.withUnsafeBytes { crypto_auth_hmacsha256_init(&state, $0.uint8, $0.count) }
      _ = secret.withUnsafeBytes { crypto_auth_hmacsha256_update(&state, $0.uint8, UInt64($0.count)) }
      crypto_auth_hmacsha256_final(&state, output)
      withUnsafeMutableBytes(of: &state) { sodium_memzero($0.baseAddress, $0.count) }
    }
  }

  /// Whether `code` is the code of the concatenated `parts`, compared in constant time.
  package static func isValid(_ code: [UInt8], of parts: [UInt8]..., key: RawSpan) -> Bool {
    var expected = [UInt8](repeating: 0, count: size)
    write(parts, key: key, to: &expected)
    defer { sodium_memzero(&expected, size) }
    return code.count == size && sodium_memcmp(code, expected, size) == 0
  }

  static func write(_ parts: [[UInt8]], key: RawSpan, to output: UnsafeMutablePointer<UInt8>) {
    var state = crypto_auth_hmacsha256_state()
    _ = key.withUnsafeBytes { crypto_auth_hmacsha256_init(&state, $0.uint8, $0.count) }
    for part in parts { crypto_auth_hmacsha256_update(&state, part, UInt64(part.count)) }
    crypto_auth_hmacsha256_final(&state, output)
    // The state holds the key's inner and outer pads.
    withUnsafeMutableBytes(of: &state) { sodium_memzero($0.baseAddress, $0.count) }
  }
}

/// HKDF-SHA-256 (RFC 5869), built from HMAC because libsodium 1.0.18 has none.
package enum HKDFSHA256 {
  /// `count` (at most 8,160) bytes derived from `inputKey`, bound to `salt` and `info`.
  package static func derive(inputKey: RawSpan, salt: [UInt8], info: String, count: Int = 32) throws -> SecretBytes {
    try derive(inputKey: inputKey, salt: salt, info: Array(info.utf8), count: count)
  }

  /// Does the same with an `info` that is not text.
  package static func derive(inputKey: RawSpan, salt: [UInt8], info: [UInt8], count: Int) throws -> SecretBytes {
    try requireCount(count)
    return try SecretBytes(count: count) { write(inputKey, salt, info, count, to: $0) }
  }

  /// `count` (at most 8,160) bytes derived the same way, for a public value such as the name of a key.
  package static func name(inputKey: RawSpan, info: String, count: Int) throws -> [UInt8] {
    try requireCount(count)
    return makeBytes(count) { write(inputKey, [], Array(info.utf8), count, to: $0) }
  }

  private static func requireCount(_ count: Int) throws {
    guard (1...255 * HMACSHA256.size).contains(count) else {
      throw SodiumError(.badParameters, "HKDF output of \(count) bytes, expected 1 to \(255 * HMACSHA256.size)")
    }
  }

  private static func write(
    _ inputKey: RawSpan, _ salt: [UInt8], _ info: [UInt8], _ count: Int, to output: UnsafeMutablePointer<UInt8>
  ) {
    // The pseudorandom key, and each block of the output in turn.
    var (key, block) = ([UInt8](repeating: 0, count: HMACSHA256.size), [UInt8](repeating: 0, count: HMACSHA256.size))
    defer {
      sodium_memzero(&key, key.count)
      sodium_memzero(&block, block.count)
    }
    // Extract hashes the input key as the message. It is secret, so it is fed in without copying it to an array.
    var state = crypto_auth_hmacsha256_state()
    crypto_auth_hmacsha256_init(&state, salt, salt.count)
    _ = inputKey.withUnsafeBytes { crypto_auth_hmacsha256_update(&state, $0.uint8, UInt64($0.count)) }
    crypto_auth_hmacsha256_final(&state, &key)
    var written = 0
    var counter: UInt8 = 1
    while written < count {
      crypto_auth_hmacsha256_init(&state, key, key.count)
      if counter > 1 { crypto_auth_hmacsha256_update(&state, block, UInt64(block.count)) }
      crypto_auth_hmacsha256_update(&state, info, UInt64(info.count))
      crypto_auth_hmacsha256_update(&state, [counter], 1)
      crypto_auth_hmacsha256_final(&state, &block)
      let take = min(block.count, count - written)
      for index in 0..<take { output[written + index] = block[index] }
      written += take
      // There are at most 255 blocks, as checked above. After the 255th the counter wraps to 0, which is not used.
      counter = counter &+ 1
    }
    withUnsafeMutableBytes(of: &state) { sodium_memzero($0.baseAddress, $0.count) }
  }
}
