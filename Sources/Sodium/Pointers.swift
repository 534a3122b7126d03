/// An address for empty buffers: libsodium's functions want a non-null pointer even if the length is 0.
nonisolated(unsafe) private let emptyAddress = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)

extension UnsafeRawBufferPointer {
  /// The bytes as C's `unsigned char *`, never null.
  var uint8: UnsafePointer<UInt8> {
    guard let baseAddress else { return UnsafePointer(emptyAddress) }
    return baseAddress.assumingMemoryBound(to: UInt8.self)
  }
}

extension UnsafeMutableRawBufferPointer {
  /// The bytes as C's `unsigned char *`, never null.
  var uint8: UnsafeMutablePointer<UInt8> {
    guard let baseAddress else { return emptyAddress }
    return baseAddress.assumingMemoryBound(to: UInt8.self)
  }
}

extension OutputRawSpan {
  /// Appends `bytes` without an intermediate copy. The caller must have made room: more than `freeCapacity` traps.
  package mutating func append(copying bytes: RawSpan) {
    precondition(bytes.byteCount <= freeCapacity, "no room for \(bytes.byteCount) bytes")
    bytes.withUnsafeBytes { source in
      withUnsafeMutableBytes { buffer, initialized in
        UnsafeMutableRawBufferPointer(rebasing: buffer[initialized...]).copyMemory(from: source)
        initialized += source.count
      }
    }
  }
}

/// An array of `count` (more than 0) bytes written by a C function.
func makeBytes(_ count: Int, _ write: (UnsafeMutablePointer<UInt8>) -> Void) -> [UInt8] {
  [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
    if let base = buffer.baseAddress { write(base) }
    initialized = count
  }
}
