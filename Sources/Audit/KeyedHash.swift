/// The stdlib's hash of the input after random words, which differ in each instance. The hash is therefore keyed even
/// where the environment makes the stdlib's own key known (`SWIFT_DETERMINISTIC_HASHING`).
package struct KeyedHash: Sendable {
  /// Has taken in those words, and nothing else.
  let hasher: Hasher

  package init() {
    var hasher = Hasher()
    hasher.combine(UInt64.random(in: 0...UInt64.max))
    hasher.combine(UInt64.random(in: 0...UInt64.max))
    self.hasher = hasher
  }

  /// Never 0.
  package func callAsFunction(_ bytes: borrowing Span<UInt8>, at range: Range<Int>) -> UInt64 {
    bytes.extracting(range).withUnsafeBufferPointer { hash(UnsafeRawBufferPointer($0)) }
  }

  /// Never 0.
  package func callAsFunction(_ text: String) -> UInt64 {
    var text = text
    return text.withUTF8 { hash(UnsafeRawBufferPointer($0)) }
  }

  private func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hasher = hasher
    hasher.combine(bytes: bytes)
    return max(1, UInt64(bitPattern: Int64(hasher.finalize())))
  }

  /// The hash of a step: the entry at an index is one step of one credential only.
  package func callAsFunction(_ rotation: UInt64, _ step: UInt32, _ index: UInt64) -> UInt64 {
    var hasher = hasher
    hasher.combine(rotation)
    hasher.combine(UInt64(step))
    hasher.combine(index)
    return UInt64(bitPattern: Int64(hasher.finalize()))
  }
}
