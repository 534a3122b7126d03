import CSQLite
import Glibc
import Storage

/// One consistent copy of a store, made while others write: a database file beside it that only its owner can open,
/// deleted together with this value. It holds no free pages, and needs no log.
package final class StoreSnapshot {
  /// Where the copy is, until `hide`.
  private let path: String
  private let tables: [Table]
  /// Locked for as long as this process lives: an unlocked copy was left behind by another process.
  private let descriptor: Int32
  /// In bytes.
  package let size: Int

  /// `place` is what the copy's path begins with; nil for the store's own path.
  init(of file: StoreFile, _ tables: [Table], at place: String? = nil) throws {
    let place = place ?? file.path
    Self.removeRemains(beside: place)
    var template = Array((place + Self.infix + "XXXXXX").utf8CString)
    // mkstemp() opens with O_CREAT | O_EXCL, which follows no link, and mode 0600.
    let descriptor = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.map { mkstemp($0) } ?? -1
    }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard descriptor >= 0 else { throw Self.failure("making a copy of the store") }
    self.descriptor = descriptor
    self.path = path
    self.tables = tables
    do {
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw Self.failure("making a copy of the store") }
      try Connection.reading(file, tables).connection.copy(to: path)
      var (copied, named) = (stat(), stat())
      guard fstat(descriptor, &copied) == 0, stat(path, &named) == 0, copied.st_ino == named.st_ino else {
        throw StorageError(.cannotWrite, "the copy of the store at \(path) was removed while it was made")
      }
      size = Int(copied.st_size)
    } catch {
      unlink(path)
      close(descriptor)
      throw error
    }
  }

  deinit {
    hide()
    close(descriptor)
  }

  /// The copy as a store of its own; must be opened before `hide`.
  package func opened() throws -> SQLiteStore { try SQLiteStore(opening: path, tables: tables) }

  /// Removes the copy's name, so that nothing is left of it, whatever becomes of this process.
  package func hide() { unlink(path) }

  /// Hands its bytes to `write` in order, in pieces of at most 64 KiB.
  package func forEachPiece(_ write: (RawSpan) throws -> Void) throws {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    var position = 0
    while position < size {
      let count = buffer.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, position) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw StorageError(.cannotRead, "reading a copy of the store: \(Self.words(errno))") }
      try write(buffer.span.bytes.extracting(first: count))
      position += count
    }
  }

  /// No user names their own copies like this.
  private static let infix = ".relatch-snapshot."

  /// Removes what a dead process has left: only files that `mkstemp` can have made here, for this user.
  private static func removeRemains(beside database: String) {
    let parts = database.split(separator: "/").map(String.init)
    let folder = "/" + parts.dropLast().joined(separator: "/")
    let prefix = (parts.last ?? "") + infix
    guard let entries = opendir(folder) else { return }
    defer { closedir(entries) }
    while let entry = readdir(entries) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      guard name.hasPrefix(prefix), isTemporarySuffix(name.utf8.dropFirst(prefix.utf8.count)) else { continue }
      // Without blocking, in case somebody made a named pipe there.
      let descriptor = open("\(folder)/\(name)", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
      guard descriptor >= 0 else { continue }
      if isOwn(descriptor), flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
        // SQLite's own journal, for as long as it copies.
        for end in ["-journal", ""] { unlink("\(folder)/\(name)\(end)") }
      }
      close(descriptor)
    }
  }

  /// Whether `end` can be the six letters that `mkstemp` fills in.
  private static func isTemporarySuffix(_ end: Substring.UTF8View) -> Bool {
    end.count == 6
      && end.allSatisfy { byte in
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
      }
  }

  private static func isOwn(_ descriptor: Int32) -> Bool {
    var found = stat()
    return fstat(descriptor, &found) == 0 && found.st_mode == S_IFREG | 0o600 && found.st_uid == geteuid()
      && found.st_nlink == 1
  }

  private static func failure(_ operation: String) -> StorageError {
    StorageError(.cannotWrite, "\(operation): \(words(errno))")
  }

  private static func words(_ number: Int32) -> String { String(cString: strerror(number)) }
}

extension Connection {
  /// Writes one snapshot of the database, including its log, into the empty file at `path`. Waits for no writer.
  fileprivate func copy(to path: String) throws {
    do {
      try execute(
        "VACUUM INTO '\(path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''"))'",
        "copying the store")
    } catch let error as StorageError where error.code == .cannotRead {
      // What was read before was readable, so it is the copy that cannot be written.
      throw StorageError(.cannotWrite, error.description)
    }
  }
}

extension SQLiteStore {
  /// A copy of the store as it is now, in a file whose path begins with `place`, an absolute path, or with the store's
  /// own path. Throws `cannotWrite` if there is no room for it.
  package func snapshot(at place: String? = nil) throws -> StoreSnapshot {
    try StoreSnapshot(of: file, tables, at: place)
  }
}
