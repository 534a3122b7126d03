/// The head of an answer, read line by line as it arrives. It keeps only a few headers, and limits their size.
struct AnswerHead {
  private static let kept = [
    "content-length", "content-type", "date", "retry-after", "x-rate-limit-reset", "x-ratelimit-reset",
  ]
  private static let byteLimit = 64 * 1024

  private(set) var headers: [String: String] = [:]
  /// Whether the empty line that ends a head has arrived. libcurl accepts a head that is cut short as whole.
  private(set) var isComplete = false
  private var byteCount = 0

  /// The body's announced size in bytes, if the header is there and is a number from 0 up.
  var contentLength: Int? { headers["content-length"].flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil } }

  /// Adds one line of a head; false if the heads of this answer together exceed the limit.
  mutating func append(_ line: UnsafeRawBufferPointer) -> Bool {
    byteCount += line.count
    guard byteCount <= Self.byteLimit else { return false }
    // Each status line opens a new head: a 100 or 103 precedes the final one.
    if line.starts(with: "HTTP/".utf8) {
      (headers, isComplete) = ([:], false)
      return true
    }
    if line.elementsEqual("\r\n".utf8) || line.elementsEqual("\n".utf8) { isComplete = true }
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return true }
    let name = Self.kept.first { name in
      name.utf8.count == colon && name.utf8.elementsEqual(line[..<colon].lazy.map(lowercased))
    }
    guard let name else { return true }
    // Printable ASCII: these values reach logs and terminals.
    let value = line[(colon + 1)...].filter { (0x20...0x7E).contains($0) }
    headers[name] = String(decoding: value.trimmingSpaces(), as: UTF8.self)
    return true
  }
}

extension [UInt8] {
  fileprivate func trimmingSpaces() -> ArraySlice<UInt8> {
    let space = UInt8(ascii: " ")
    let tail = drop { $0 == space }
    return tail.dropLast(tail.reversed().prefix { $0 == space }.count)
  }
}
