import Glibc
import Storage

/// The path of the database, and what the file system says about it. SQLite keeps its log (`-wal`) and the log's index
/// (`-shm`) beside it, with the database's mode and owner.
struct StoreFile: Sendable {
  /// An absolute path whose folder has no symbolic links: SQLite is told to follow none, and would refuse those too.
  let path: String
  private let folder: String

  /// Throws `notFound` if the folder does not exist. It is never made here: its mode is the caller's decision.
  init(at path: String) throws {
    let slash = path.lastIndex(of: "/")
    let name = slash.map { path[path.index(after: $0)...] } ?? path[...]
    let parent = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    guard !name.isEmpty, name != ".", name != "..", !path.utf8.contains(0) else {
      throw StorageError(.notFound, "\(path) does not name a file")
    }
    guard let resolved = realpath(parent, nil) else {
      let isAbsent = errno == ENOENT || errno == ENOTDIR
      throw StorageError(isAbsent ? .notFound : .cannotRead, "finding the folder of \(path): \(Self.words(errno))")
    }
    defer { free(resolved) }
    self.folder = String(cString: resolved)
    self.path = folder == "/" ? "/\(name)" : "\(folder)/\(name)"
  }

  /// Throws `notFound` if nothing is there, and `corrupt` if it, or what is beside it under a name of SQLite's, is not a
  /// regular file: SQLite would wait for a pipe for ever.
  func requireFile() throws {
    guard try exists() else { throw StorageError(.notFound, "there is no store at \(path)") }
    for name in [path + "-journal", path + "-wal", path + "-shm"] {
      var status = stat()
      guard lstat(name, &status) == 0, status.st_mode & S_IFMT != S_IFREG else { continue }
      throw StorageError(.corrupt, "\(name) is not SQLite's: expected a regular file, or none; remove it")
    }
  }

  /// Makes an empty file that only its owner can open, whatever the umask is. Leaves an existing file alone.
  func makeIfAbsent() throws {
    guard try !exists() else { return }
    // Opens only a file that this call has made: closing any descriptor of a database drops the process's locks on it.
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    if descriptor < 0 && errno == EEXIST { return }
    guard descriptor >= 0 else { throw StorageError(.cannotWrite, "creating \(path): \(Self.words(errno))") }
    defer { close(descriptor) }
    guard fchmod(descriptor, 0o600) == 0 else {
      throw StorageError(.cannotWrite, "setting the mode of \(path): \(Self.words(errno))")
    }
  }

  /// Makes the file's name outlive a power cut; SQLite does so only for the names of its logs.
  func syncFolder() throws {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw StorageError(.cannotWrite, "opening \(folder): \(Self.words(errno))") }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else {
      throw StorageError(.cannotWrite, "syncing \(folder): \(Self.words(errno))")
    }
  }

  /// Whether the database file alone is the whole store, in a folder where we cannot make the log that SQLite wants.
  var isWholeAndUnwritable: Bool {
    var log = stat()
    return access(folder, W_OK) != 0 && (lstat(path + "-wal", &log) != 0 ? errno == ENOENT : log.st_size == 0)
  }

  /// The path as a `file:` URI that asks SQLite to read the file without locks, log or index.
  var immutableURI: String {
    let escaped = path.utf8.map { byte in
      switch byte {
      case UInt8(ascii: "/"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        String(UnicodeScalar(byte))
      default: (byte < 16 ? "%0" : "%") + String(byte, radix: 16)
      }
    }
    return "file:\(escaped.joined())?immutable=1"
  }

  private func exists() throws -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      guard errno == ENOENT else { throw StorageError(.cannotRead, "looking at \(path): \(Self.words(errno))") }
      return false
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw StorageError(.corrupt, "\(path) is not a store: expected a regular file, not a symbolic link")
    }
    return true
  }

  private static func words(_ number: Int32) -> String { String(cString: strerror(number)) }
}
