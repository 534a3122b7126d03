/// Splits text that is not secret into lines.
struct LineReader {
  private let bytes: [UInt8]
  /// Where the next line begins.
  private(set) var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Whether everything has been read.
  var isAtEnd: Bool { position == bytes.count }

  /// What has not been read yet.
  var rest: ArraySlice<UInt8> { bytes[position...] }

  /// The next line without its line feed, or nil if no line feed follows: text that ends with the file is not a line
  /// here.
  mutating func line() -> ArraySlice<UInt8>? {
    guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    defer { position = end + 1 }
    return bytes[position..<end]
  }
}
