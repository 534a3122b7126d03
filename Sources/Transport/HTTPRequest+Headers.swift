internal import CCurl
internal import Sodium

extension HTTPRequest {
  /// The headers that only the transport may set: a second value could make two readers disagree about one request.
  private static let reserved: Set<String> = [
    "connection", "content-length", "content-type", "cookie", "expect", "host", "te", "trailer", "transfer-encoding",
    "upgrade", "user-agent",
  ]

  /// Throws `invalidRequest` if a header could end its line early, or is one that only the transport may set.
  func checkHeaders() throws(TransportError) {
    for header in headers { try check(header.name, header.value.utf8.allSatisfy(isValueByte)) }
    for header in secretHeaders {
      let isWhole = header.value.secret.withUnsafeBytes { $0.allSatisfy(isValueByte) }
      try check(header.name, isWhole && header.prefix.utf8.allSatisfy(isValueByte))
    }
    guard let contentType else { return }
    guard contentType.utf8.allSatisfy(isValueByte), !contentType.isEmpty else {
      throw invalid("content type is empty or has bytes that do not belong in a header")
    }
  }

  private func check(_ name: String, _ isValueWhole: Bool) throws(TransportError) {
    guard !name.isEmpty, name.utf8.allSatisfy(isNameByte) else { throw invalid("header name is not a token") }
    guard !Self.reserved.contains(name.lowercased()) else {
      throw invalid("header \(name.lowercased()) is set by the transport and must not be given")
    }
    guard isValueWhole else { throw invalid("header \(name.lowercased()) has bytes that do not belong in a header") }
  }

  private func invalid(_ what: String) -> TransportError {
    TransportError(.invalidRequest, host: endpoint.host, "request to \(endpoint.host): \(what)")
  }

  var contentType: String? {
    switch body {
    case .none: nil
    case .bytes(_, let type), .secret(_, let type): type
    }
  }
}

/// The header lines of one request in libcurl's list. The list copies them, and its memory is wiped when it is freed.
struct HeaderList: ~Copyable {
  private(set) var list: UnsafeMutablePointer<curl_slist>?

  /// Throws `SodiumError` or `OutOfMemory` if there is no room for the lines.
  init(of request: HTTPRequest, puttingTogetherIn line: HeaderLine) throws {
    // libcurl leaves out a header of its own that is named here without a value. "Expect" would cost a round trip, and
    // libcurl sends a request with it again on its own.
    try append("Expect:")
    try append(request.contentType.map { "Content-Type: \($0)" } ?? "Content-Type:")
    for header in request.headers {
      try append(header.value.isEmpty ? "\(header.name);" : "\(header.name): \(header.value)")
    }
    for header in request.secretHeaders { try append(header, line) }
  }

  deinit { ccurl_slist_free(list) }

  private mutating func append(_ line: UnsafePointer<CChar>) throws {
    guard let longer = ccurl_slist_append(list, line) else { throw OutOfMemory() }
    list = longer
  }

  /// Builds the line in guarded memory, so that the only other copies are libcurl's.
  private mutating func append(_ header: HTTPRequest.SecretHeader, _ line: HeaderLine) throws {
    let list = list
    let longer = try line.with("\(header.name): \(header.prefix)", header.value) { bytes in
      bytes.baseAddress.flatMap { ccurl_slist_append(list, $0.assumingMemoryBound(to: CChar.self)) }
    }
    guard let longer = longer ?? nil else { throw OutOfMemory() }
    self.list = longer
  }
}

/// Guarded memory for one header line at a time, reused for the next. It belongs to the loop's thread.
final class HeaderLine {
  private var buffer: SecretBuffer?

  /// Calls `body` with `opening`, `value` and a zero byte, then wipes them. Throws `SodiumError` if there is no memory.
  func with<Result>(
    _ opening: String, _ value: SharedSecret, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result? {
    if buffer == nil { buffer = try SecretBuffer(capacity: 4000) }
    defer { buffer?.removeAll() }
    try Array(opening.utf8).withUnsafeBytes { try buffer?.append($0) }
    try value.secret.withUnsafeBytes { try buffer?.append($0) }
    try withUnsafeBytes(of: UInt8(0)) { try buffer?.append($0) }
    return try buffer?.withUnsafeBytes(body)
  }
}

/// libcurl could not allocate.
struct OutOfMemory: Error {}

/// Visible ASCII, space and tab. A value made of these can end neither its line nor a C string.
private func isValueByte(_ byte: UInt8) -> Bool { (0x20...0x7E).contains(byte) || byte == 0x09 }

private func isNameByte(_ byte: UInt8) -> Bool {
  switch lowercased(byte) {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
  default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
  }
}
