import CSQLite
import Storage

/// What the engine was doing when SQLite refused: this decides whether a refusal by the medium counts as one to read or
/// to write.
enum Activity {
  case reading
  case writing
}

extension StorageError {
  /// A refusal by SQLite with an extended result code. The text holds SQLite's fixed words for the code, and its
  /// number; it never holds the text of `sqlite3_errmsg`, which may quote a statement.
  init(sqlite code: Int32, _ activity: Activity, _ operation: String) {
    let words = "\(String(cString: sqlite3_errstr(code))) (\(Self.name(sqlite: code)), code \(code))"
    self.init(Self.code(sqlite: code, activity), "\(operation): \(Self.everyday(sqlite: code) ?? words)")
  }

  /// Plain words for the failures that people meet who use no database; nil for the others.
  private static func everyday(sqlite code: Int32) -> String? {
    switch code & 0xFF {
    case SQLITE_READONLY: "its file or the file system is read-only"
    case SQLITE_FULL: "the disk is full"
    default: nil
    }
  }

  private static func code(sqlite code: Int32, _ activity: Activity) -> Code {
    switch code {
    case SQLITE_IOERR | (32 << 8), SQLITE_IOERR | (33 << 8): return .corrupt  // IOERR_DATA, IOERR_CORRUPTFS
    default: break
    }
    switch code & 0xFF {
    case SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_FORMAT: return .corrupt
    // Our statements and tables are fixed, so these mean that the file's schema is not the one we made.
    case SQLITE_ERROR, SQLITE_SCHEMA, SQLITE_CONSTRAINT, SQLITE_MISMATCH: return .corrupt
    case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL: return .busy
    case SQLITE_FULL, SQLITE_TOOBIG: return .cannotWrite
    // Even a reader makes the log and its index if they are missing: a failure to do so is a failure to write.
    case SQLITE_IOERR where isOfWriting(code): return .cannotWrite
    default: return activity == .reading ? .cannotRead : .cannotWrite
    }
  }

  /// Whether an input/output error is one of WRITE, FSYNC, DIR_FSYNC, TRUNCATE, DELETE, SHMOPEN and SHMSIZE.
  private static func isOfWriting(_ code: Int32) -> Bool { [3, 4, 5, 6, 10, 18, 19].contains(code >> 8) }

  /// SQLite's name of the primary code, which its manual lists; SQLite has no function for it.
  private static func name(sqlite code: Int32) -> String {
    switch code & 0xFF {
    case SQLITE_ERROR: "SQLITE_ERROR"
    case SQLITE_PERM: "SQLITE_PERM"
    case SQLITE_BUSY: "SQLITE_BUSY"
    case SQLITE_LOCKED: "SQLITE_LOCKED"
    case SQLITE_NOMEM: "SQLITE_NOMEM"
    case SQLITE_READONLY: "SQLITE_READONLY"
    case SQLITE_IOERR: "SQLITE_IOERR"
    case SQLITE_CORRUPT: "SQLITE_CORRUPT"
    case SQLITE_FULL: "SQLITE_FULL"
    case SQLITE_CANTOPEN: "SQLITE_CANTOPEN"
    case SQLITE_PROTOCOL: "SQLITE_PROTOCOL"
    case SQLITE_SCHEMA: "SQLITE_SCHEMA"
    case SQLITE_TOOBIG: "SQLITE_TOOBIG"
    case SQLITE_CONSTRAINT: "SQLITE_CONSTRAINT"
    case SQLITE_MISMATCH: "SQLITE_MISMATCH"
    case SQLITE_MISUSE: "SQLITE_MISUSE"
    case SQLITE_NOTADB: "SQLITE_NOTADB"
    default: "SQLITE"
    }
  }
}
