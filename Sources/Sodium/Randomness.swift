import CSodium

/// A source of random bytes, passed as an argument to everything that draws them: only the executable names `system`.
package struct Randomness: Sendable {
  private let fill: @Sendable (UnsafeMutableRawBufferPointer) -> Void

  package init(_ fill: @escaping @Sendable (UnsafeMutableRawBufferPointer) -> Void) { self.fill = fill }

  /// The kernel's generator, through libsodium.
  package static let system = Randomness { buffer in
    SodiumLibrary.start()
    if let base = buffer.baseAddress { randombytes_buf(base, buffer.count) }
  }

  /// Fresh bytes that are not secret: nonces, identifiers, salts.
  package func bytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      fill(UnsafeMutableRawBufferPointer(buffer))
      initialized = count
    }
  }

  /// Fresh bytes that are secret, drawn straight into guarded memory.
  package func secret(_ count: Int) throws -> SecretBytes {
    try SecretBytes(count: count) { fill(UnsafeMutableRawBufferPointer(start: $0, count: count)) }
  }

  /// A uniform fraction in 0 ..< 1, for jitter.
  package func fraction() -> Double {
    let word = bytes(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return Double(word >> 11) / Double(UInt64(1) << 53)
  }
}
