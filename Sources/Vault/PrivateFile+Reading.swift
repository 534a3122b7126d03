import Glibc
package import Sodium

// Reading, without waiting for a writer and with a limit.
extension PrivateFile {
  /// Reads at most `limit` bytes straight into guarded memory. Throws `notFound`, `cannotRead`, or `invalidInput` if
  /// there is more.
  package static func read(_ path: String, limit: Int = 1 << 16) throws -> SecretBytes {
    let descriptor = try openWithoutWaiting(path)
    defer { Glibc.close(descriptor) }
    var information = stat()
    // A file with a size gets a buffer of that size: locking pages costs more than reading the file.
    guard fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFREG,
      (1..<limit).contains(information.st_size)
    else { return try readAll(descriptor, limit: limit, path) }
    return try read(descriptor, ofSize: information.st_size, limit: limit, path)
  }

  /// Opens a file for reading. Somebody may have put a pipe in its place, to which nobody writes: it is refused at
  /// once, without waiting. A terminal or pipe that is meant to be read comes as a descriptor.
  private static func openWithoutWaiting(_ path: String) throws -> Int32 {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw failure(reading: path) }
    var information = stat()
    let isPipe = fstat(descriptor, &information) == 0 && information.st_mode & S_IFMT == S_IFIFO
    // A shell's /dev/fd/N is a pipe, too, and must be read to its end.
    guard !isPipe || path.hasPrefix("/dev/fd/") || path.hasPrefix("/proc/") || path == "/dev/stdin" else {
      Glibc.close(descriptor)
      throw VaultError(.cannotRead, "\(path) is a pipe, expected a file")
    }
    // What was opened may be a terminal, and reading that must wait for the person.
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
    return descriptor
  }

  /// Reads a file that had `size` bytes a moment ago. If it has grown since, as logs do, it is read once more.
  static func read(_ descriptor: Int32, ofSize size: Int, limit: Int, _ what: String) throws -> SecretBytes {
    do { return try readAll(descriptor, limit: size, what) } catch let error as VaultError
      where error.code == .invalidInput
    {
      guard lseek(descriptor, 0, SEEK_SET) == 0 else { throw failure(reading: what) }
      return try readAll(descriptor, limit: limit, what)
    }
  }

  /// Reads a file that holds nothing secret, of at most `limit` bytes. Throws as `read` does.
  package static func readPublic(_ path: String, limit: Int) throws -> [UInt8] {
    let descriptor = try openWithoutWaiting(path)
    defer { Glibc.close(descriptor) }
    return try readAllPublic(descriptor, limit: limit, path)
  }

  /// Reads a descriptor that has nothing secret to its end; `what` names it in errors. Throws as `readPublic` does.
  package static func readAllPublic(_ descriptor: Int32, limit: Int, _ what: String) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 12)
    while true {
      let count = try piece.withUnsafeMutableBytes { try readSome(descriptor, $0.baseAddress, $0.count, what) }
      if count == 0 { return bytes }
      bytes += piece[..<count]
      guard bytes.count <= limit else {
        throw VaultError(.invalidInput, "\(Name.printable(what)) has more than \(limit) bytes")
      }
    }
  }

  /// Reads a descriptor to its end straight into guarded memory; `what` names it in errors.
  package static func readAll(_ descriptor: Int32, limit: Int, _ what: String) throws -> SecretBytes {
    // Pages beyond what the system lets a user lock are not locked at all: no more than it takes.
    var room = min(limit, 1 << 20)
    var bytes = try SecretBytes(capacity: room) { try fill(&$0, from: descriptor, what) }
    while bytes.count == room, room < limit {
      room = min(limit, 4 * room)
      let before = bytes
      bytes = try SecretBytes(capacity: room) { output in
        before.withBytes { output.append(copying: $0) }
        try fill(&output, from: descriptor, what)
      }
    }
    var excess: UInt8 = 0
    guard try bytes.count < limit || readSome(descriptor, &excess, 1, what) == 0 else {
      throw VaultError(.invalidInput, "\(what) has more than \(limit) bytes")
    }
    return bytes
  }

  /// Reads until `output` is full or the descriptor's end.
  private static func fill(_ output: inout OutputRawSpan, from descriptor: Int32, _ what: String) throws {
    try output.withUnsafeMutableBytes { buffer, initialized in
      while initialized < buffer.count {
        let room = UnsafeMutableRawBufferPointer(rebasing: buffer[initialized...])
        let count = try readSome(descriptor, room.baseAddress, room.count, what)
        if count == 0 { return }
        initialized += count
      }
    }
  }

  /// Reads at most `room` bytes, as many as are there; returns 0 only at the end. `what` names it in errors. Throws
  /// `cannotRead`, or `unavailable`.
  package static func readSome(
    _ descriptor: Int32, _ place: UnsafeMutableRawPointer?, _ room: Int, _ what: String
  ) throws -> Int {
    while true {
      let count = Glibc.read(descriptor, place, room)
      if count >= 0 { return count }
      guard errno == EINTR else { throw failure(reading: what) }
    }
  }

  package static func failure(reading path: String) -> VaultError {
    let number = errno
    let isPassing = [EMFILE, ENFILE, ENOMEM, EIO].contains(number)
    return VaultError(
      number == ENOENT ? .notFound : isPassing ? .unavailable : .cannotRead,
      "cannot read \(Name.printable(path)): \(Errno.text(number))",
      hint: number == ENOENT ? "check the path" : nil)
  }
}
