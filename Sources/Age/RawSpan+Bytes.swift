/// Reading text and ciphertext out of a span.
extension RawSpan {
  /// The byte at `offset`, which must be within the span.
  func byte(at offset: Int) -> UInt8 { unsafeLoad(fromByteOffset: offset, as: UInt8.self) }

  /// Whether the span begins with the ASCII text `prefix`.
  func starts(with prefix: String) -> Bool {
    let prefix = prefix.utf8
    guard prefix.count <= byteCount else { return false }
    return zip(byteOffsets, prefix).allSatisfy { byte(at: $0) == $1 }
  }

  /// An ordinary copy of the first `count` bytes, or of all if there are fewer. Only for public data: headers and
  /// ciphertext.
  func publicPrefix(_ count: Int) -> [UInt8] {
    extracting(first: Swift.min(count, byteCount)).withUnsafeBytes { Array($0) }
  }
}
