import CSodium

/// scrypt (RFC 7914) with block size 8 and parallelism 1, as age fixes them.
package enum Scrypt {
  /// A 32-byte key from `passphrase`, at the cost of 2^`workFactor` iterations and 2^`workFactor` KiB of memory.
  ///
  /// Throws `badParameters` if `workFactor` is outside 1...22 (4 GiB), or if the memory cannot be allocated.
  package static func key(passphrase: RawSpan, salt: [UInt8], workFactor: Int) throws -> SecretBytes {
    guard (1...22).contains(workFactor) else {
      throw SodiumError(.badParameters, "scrypt work factor \(workFactor), expected 1 to 22")
    }
    SodiumLibrary.start()
    return try SecretBytes(count: 32) { output in
      let status = passphrase.withUnsafeBytes { passphrase in
        crypto_pwhash_scryptsalsa208sha256_ll(
          passphrase.uint8, passphrase.count, salt, salt.count, UInt64(1) << UInt64(workFactor), 8, 1, output, 32)
      }
      guard status == 0 else {
        throw SodiumError(.badParameters, "scrypt with work factor \(workFactor) could not get its memory")
      }
    }
  }
}
