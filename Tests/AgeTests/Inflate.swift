import Glibc

struct InflateFailure: Error, CustomStringConvertible { let description: String }

/// The bytes of a zlib stream. Only some vectors are compressed, so zlib is looked up at run time and no build needs
/// it.
func inflate(_ stream: [UInt8]) throws -> [UInt8] {
  typealias Uncompress =
    @convention(c) (UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<UInt>, UnsafePointer<UInt8>, UInt) -> CInt
  guard let library = dlopen("libz.so.1", RTLD_NOW), let symbol = dlsym(library, "uncompress") else {
    throw InflateFailure(description: "libz.so.1 is not installed (Debian package zlib1g)")
  }
  let uncompress = unsafeBitCast(symbol, to: Uncompress.self)
  let insufficientRoom: CInt = -5
  var capacity = 1 << 20
  while capacity <= 1 << 26 {
    var output = [UInt8](repeating: 0, count: capacity)
    var count = UInt(capacity)
    let status = uncompress(&output, &count, stream, UInt(stream.count))
    if status == 0 { return Array(output[..<Int(count)]) }
    guard status == insufficientRoom else { throw InflateFailure(description: "uncompress answered \(status)") }
    capacity *= 4
  }
  throw InflateFailure(description: "stream is larger than 64 MiB")
}
