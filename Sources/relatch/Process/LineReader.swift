import Glibc
import Vault

/// The lines of a text file, one after the other, in constant memory.
enum LineReader {
  private static let pieceSize = 1 << 16

  /// Hands `visit` each line without its newline. Throws `notFound` or `cannotRead`, and `corrupt` if a line is longer
  /// than `longest` bytes or the last one has no newline.
  static func forEachLine(of path: String, atMost longest: Int, _ visit: ([UInt8]) throws -> Void) throws {
    let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw PrivateFile.failure(reading: path) }
    defer { if path != "-" { close(descriptor) } }
    var rest: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: pieceSize)
    while true {
      let count = try PrivateFile.readSome(descriptor, &piece, pieceSize, path)
      if count == 0 { break }
      rest += piece[..<count]
      var start = 0
      while let end = rest[start...].firstIndex(of: 0x0A) {
        try visit(Array(rest[start..<end]))
        start = end + 1
      }
      rest.removeFirst(start)
      guard rest.count <= longest else {
        throw VaultError(.corrupt, "\(Name.printable(path)) has a line of more than \(longest) bytes")
      }
    }
    guard rest.isEmpty else {
      throw VaultError(.corrupt, "\(Name.printable(path)) does not end with a newline: it was cut off")
    }
  }
}
