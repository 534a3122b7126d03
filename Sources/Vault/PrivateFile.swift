import Glibc
package import Sodium

/// Files that only their owner may read, written so that they are whole or absent whatever happens in between.
package enum PrivateFile {
  /// Reads at most `limit` bytes straight into guarded memory. Throws `notFound`, `cannotRead`, or `invalidInput` if there
  /// is more.
  package static func read(_ path: String, limit: Int = 1 << 16) throws -> SecretBytes {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(reading: path) }
    defer { close(descriptor) }
    return try readAll(descriptor, limit: limit, path)
  }

  /// Reads a descriptor to its end straight into guarded memory; `what` names it in errors.
  package static func readAll(_ descriptor: Int32, limit: Int, _ what: String) throws -> SecretBytes {
    try SecretBytes(capacity: limit) { output in
      try output.withUnsafeMutableBytes { buffer, initialized in
        while true {
          var excess: UInt8 = 0
          let isFull = initialized == limit
          let room = UnsafeMutableRawBufferPointer(rebasing: buffer[initialized...])
          let count = isFull ? Glibc.read(descriptor, &excess, 1) : Glibc.read(descriptor, room.baseAddress, room.count)
          if count < 0 && errno == EINTR { continue }
          guard count >= 0 else { throw failure(reading: what) }
          if count == 0 { return }
          guard !isFull else { throw VaultError(.invalidInput, "\(what) has more than \(limit) bytes") }
          initialized += count
        }
      }
    }
  }

  /// Writes `bytes` to a new file at `path`, mode 0600, durable with its folder when this returns. Never overwrites:
  /// throws `alreadyExists`, or `cannotWrite`.
  package static func create(_ path: String, _ bytes: RawSpan) throws {
    let temporary = path + ".new"
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure(writing: path) }
    do {
      defer { close(descriptor) }
      try writeAll(descriptor, bytes, path)
      guard fsync(descriptor) == 0 else { throw failure(writing: path) }
      // link() refuses an existing name where rename() would replace it.
      guard link(temporary, path) == 0 else { throw failure(writing: path) }
    } catch {
      unlink(temporary)
      throw error
    }
    unlink(temporary)
    try synchronizeFolder(of: path)
  }

  /// Writes all of `bytes` to a descriptor.
  package static func writeAll(_ descriptor: Int32, _ bytes: RawSpan, _ what: String) throws {
    try bytes.withUnsafeBytes { buffer in
      var written = 0
      while written < buffer.count {
        let rest = UnsafeRawBufferPointer(rebasing: buffer[written...])
        let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { throw failure(writing: what) }
        written += count
      }
    }
  }

  /// Makes the folder at `path` and those above it, each mode 0700 if it is new.
  package static func createFolder(_ path: String) throws {
    var prefix = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      prefix += prefix.isEmpty || prefix.hasSuffix("/") ? String(part) : "/" + part
      guard mkdir(prefix, 0o700) == 0 || errno == EEXIST else { throw failure(writing: prefix) }
    }
    var information = stat()
    guard stat(path, &information) == 0, information.st_mode & S_IFMT == S_IFDIR else {
      throw VaultError(.cannotWrite, "\(Name.printable(path)) is not a folder")
    }
  }

  /// Whether something stands at `path`.
  package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  private static func synchronizeFolder(of path: String) throws {
    let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    let descriptor = open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(writing: folder) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure(writing: folder) }
  }

  private static func failure(reading path: String) -> VaultError {
    let number = errno
    return VaultError(
      number == ENOENT ? .notFound : .cannotRead,
      "cannot read \(Name.printable(path)): \(String(cString: strerror(number)))")
  }

  private static func failure(writing path: String) -> VaultError {
    let number = errno
    return VaultError(
      number == EEXIST ? .alreadyExists : .cannotWrite,
      "cannot write \(Name.printable(path)): \(String(cString: strerror(number)))")
  }
}
