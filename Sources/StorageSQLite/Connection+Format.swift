import CSQLite
import Storage

/// What makes an SQLite database one of our stores.
enum StoreFormat {
  /// SQLite's `application_id`: "RLTC".
  static let applicationID = 0x524C_5443
  /// SQLite's `user_version`: the layout of the tables. Raised when an earlier program could misread them.
  static let version = 2
  /// The oldest version that is read as it is; the first writer upgrades the store to `version`.
  static let oldestVersion = 1

  static func definition(of table: Table) -> String {
    "CREATE TABLE \(table.name) (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID"
  }
}

extension Connection {
  /// A connection for reading, with the format checked.
  ///
  /// To read at all, SQLite makes a log and an index beside the database. If the folder cannot be written and no log is
  /// left to read, the database file is the whole store and is read as immutable: `isPassing` is then true, and the
  /// connection must not be used for a second read, because another user may begin to write meanwhile.
  ///
  /// With `mayWrite`, `prepareToWrite` can later make the connection a writer's, if the file may be written.
  static func reading(
    _ file: StoreFile, _ tables: [Table], mayWrite: Bool = false
  ) throws -> (connection: Connection, isPassing: Bool) {
    do {
      let flags = mayWrite ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY
      let connection = try Connection(opening: file.path, flags: flags, .reading)
      try connection.prepareToRead(tables)
      return (connection, false)
    } catch let error as StorageError
      where [.cannotRead, .cannotWrite].contains(error.code) && file.isWholeAndUnwritable
    {
      let connection = try Connection(
        opening: file.immutableURI, flags: SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, .reading)
      try connection.prepareToRead(tables)
      return (connection, true)
    }
  }

  /// A connection for writing, whose settings are read back: if SQLite quietly lowered durability, there would be none.
  ///
  /// `spare`, which was opened for reading, becomes that connection: it has already read the log's index, the schema
  /// and the pages that a change needs first.
  static func writing(_ file: StoreFile, _ tables: [Table], from spare: Connection? = nil) throws -> Connection {
    let connection = try spare ?? Connection(opening: file.path, flags: SQLITE_OPEN_READWRITE, .writing)
    connection.activity = .writing
    // A spare is checked too: during a run of hours another program may have upgraded the store.
    try connection.prepareToRead(tables)
    try connection.prepareToWrite()
    if connection.format < StoreFormat.version { try connection.upgrade(tables) }
    return connection
  }

  /// Whether the file is empty, or a database that nothing was ever put into. Throws `corrupt` if it is not a database.
  func isBlank() throws -> Bool {
    guard try mark("application_id") == 0, try mark("user_version") == 0 else { return false }
    return try definitions().isEmpty
  }

  /// Puts the empty tables and the format's marks into a blank database, in one transaction. Throws `alreadyExists` if
  /// another process was faster.
  func format(_ tables: [Table]) throws {
    try prepareToWrite()
    try perform(.beginWriting)
    guard try isBlank() else { throw StorageError(.alreadyExists, "another process has just created this store") }
    let statements =
      tables.map(StoreFormat.definition(of:)) + [
        "PRAGMA application_id = \(StoreFormat.applicationID)", "PRAGMA user_version = \(StoreFormat.version)",
      ]
    try execute(statements.joined(separator: ";\n"), "creating the tables")
    try perform(.commit)
  }

  /// Adds the tables that the file's format does not have yet, in one transaction: a process that dies during it leaves
  /// the old format. Rows in the other tables stay as they are.
  private func upgrade(_ tables: [Table]) throws {
    try perform(.beginWriting)
    // Another process may have been faster.
    try prepareToRead(tables)
    if format < StoreFormat.version {
      let statements =
        tables.filter { $0.since > format }.map(StoreFormat.definition(of:))
        + ["PRAGMA user_version = \(StoreFormat.version)"]
      try execute(statements.joined(separator: ";\n"), "adding the tables of format \(StoreFormat.version)")
    }
    try perform(.commit)
    format = StoreFormat.version
  }

  /// Sets up a connection for writing. Throws `cannotWrite` unless SQLite confirms each setting.
  func prepareToWrite() throws {
    // In memory: otherwise what a rolled-back body overwrote would spill into a separate file elsewhere.
    try execute("PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL", "setting up SQLite")
    countLog()
    let settings = [
      ("PRAGMA journal_mode = WAL", "wal"), ("PRAGMA synchronous", "2"), ("PRAGMA secure_delete = ON", "1"),
    ]
    for (sql, expected) in settings {
      let found = try answers(to: sql, "setting up SQLite").first?.first ?? ""
      guard found == expected else {
        throw StorageError(.cannotWrite, "setting up SQLite: \(sql) answered \(found), expected \(expected)")
      }
    }
  }

  private func prepareToRead(_ tables: [Table]) throws {
    try execute("PRAGMA cell_size_check = ON", "setting up SQLite")
    let (application, version) = (try mark("application_id"), try mark("user_version"))
    let definitions = try definitions()
    if application == 0 && version == 0 && definitions.isEmpty {
      throw StorageError(.corrupt, "the store is empty: its creation was interrupted, or its content was lost")
    }
    guard application == StoreFormat.applicationID else {
      throw StorageError(
        .unsupportedFormat, "the database has application id \(application), expected \(StoreFormat.applicationID)")
    }
    guard (StoreFormat.oldestVersion...StoreFormat.version).contains(version) else {
      throw StorageError(
        .unsupportedFormat, "the store has format \(version), expected at most \(StoreFormat.version)")
    }
    // Compared to the letter, so that a missing table or an added trigger or view is noticed.
    guard definitions == tables.filter({ $0.since <= version }).map(StoreFormat.definition(of:)).sorted() else {
      throw StorageError(.corrupt, "the tables of the store are not those of format \(version)")
    }
    format = version
  }

  private func mark(_ pragma: String) throws -> Int {
    let answers = try answers(to: "PRAGMA \(pragma)", "reading the format of the store")
    guard let text = answers.first?.first, let number = Int(text) else {
      throw StorageError(.corrupt, "reading the format of the store: \(pragma) is not a number")
    }
    return number
  }

  private func definitions() throws -> [String] {
    try answers(to: "SELECT sql FROM sqlite_schema", "reading the tables of the store").map { $0.first ?? "" }.sorted()
  }
}
