package import Audit
import Glibc
import JSON
import Sodium
package import Storage

/// What one user has seen of vaults before: for each vault its newest checkpoint and members, and which vault was in
/// which folder. It is kept apart from the vaults, so that putting back an older copy of a vault does not put this
/// back, too.
///
/// vault/remembered.md specifies the files. None of it is secret.
package struct KnownVaults: Sendable {
  private let folder: String
  /// Enough for all that owners have taken back in a vault of a million credentials.
  private static let maximumFileSize = 1 << 28

  /// What is remembered in `folder`, which is made when there is something to remember.
  package init(in folder: String) { self.folder = folder }

  /// The log of `vault` as it was seen last; nil if it never was. It was verified before it was kept.
  package func log(of vault: Identifier) throws -> SeenLog? {
    guard let bytes = try read(logFile(vault)) else { return nil }
    do { return try SeenLog(decoding: bytes) } catch let error as VaultError where error.code == .unsupportedFormat {
      throw error
    } catch { throw unreadable(logFile(vault)) }
  }

  /// The same, without decoding again what is already `known`.
  private func log(of vault: Identifier, unless known: SeenLog?) throws -> SeenLog? {
    if let known, try read(logFile(vault)) == known.bytes { return known }
    return try log(of: vault)
  }

  /// When the log of `vault` was last kept, by the clock of the folder's file system; nil if it never was.
  package func time(ofLogOf vault: Identifier) -> Timestamp? {
    var information = stat()
    guard stat(logFile(vault), &information) == 0 else { return nil }
    return Timestamp(
      milliseconds: Int64(information.st_mtim.tv_sec) * 1000 + Int64(information.st_mtim.tv_nsec) / 1_000_000)
  }

  /// The vault that was last seen in the folder at `place`, an absolute path; nil if none was.
  package func vault(at place: String) throws -> Identifier? {
    guard let bytes = try read(placeFile(place)) else { return nil }
    guard let vault = Identifier(String(decoding: bytes.prefix(2 * Identifier.size), as: UTF8.self)),
      bytes == Array("\(vault) \(place)\n".utf8)
    else { throw unreadable(placeFile(place)) }
    return vault
  }

  /// The other folders in which `vault` was seen and in which there still is a vault: absolute paths, in order. Files
  /// that are not as they were written are skipped, because the result is only for messages to a person.
  package func places(of vault: Identifier, but place: String) -> [String] {
    guard let names = try? PrivateFile.names(in: folder + "/at") else { return [] }
    return names.compactMap { name -> String? in
      guard let bytes = try? PrivateFile.readPublic("\(folder)/at/\(name)", limit: 8192), bytes.last == 0x0A,
        let text = String(validating: bytes.dropLast(), as: UTF8.self), text.hasPrefix("\(vault) /")
      else { return nil }
      return String(text.dropFirst(2 * Identifier.size + 1))
    }.filter { $0 != place && PrivateFile.exists($0 + "/vault.db") }.sorted()
  }

  /// Keeps `log`, which the caller has verified, as the newest one seen of `vault`, which is at `place`. If another run
  /// has meanwhile kept a log of as many entries or more, that one stays, unless `isAccepted` says that a person has
  /// accepted less. Throws `cannotWrite`.
  ///
  /// `extended` is the newest log that `log` is known to extend. Returns false and keeps nothing if another run has
  /// meanwhile kept a newer one than that: the caller must first find out whether `log` extends it.
  package func remember(
    _ log: SeenLog, of vault: Identifier, at place: String, extending extended: SeenLog?, isAccepted: Bool = false
  ) throws -> Bool {
    if !PrivateFile.exists(folder + "/at") { try PrivateFile.createFolder(folder + "/at") }
    return try PrivateFile.withLock(folder) {
      let kept = isAccepted ? nil : try self.log(of: vault, unless: extended)
      if let kept, kept != extended, kept.checkpoint != log.checkpoint { return false }
      if kept.map({ $0.size < log.size }) ?? true {
        // Durable the first time, so that there is one after a power cut; later ones replace one that is there.
        try PrivateFile.replace(
          logFile(vault), log.bytes.span.bytes, isDurable: kept == nil)
      }
      if isAccepted || (try? self.vault(at: place)) != vault {
        try PrivateFile.replace(placeFile(place), Array("\(vault) \(place)\n".utf8).span.bytes, isDurable: true)
      }
      return true
    }
  }

  /// Whether `log` is of the vault that this user means by `vault`, according to what was kept. False if nothing was
  /// kept, or if what is there cannot be read or is not as it was written.
  package func isTrusted(_ log: SeenLog, of vault: Identifier) -> Bool {
    guard let text = Self.founder(of: log, vault) else { return false }
    return (try? PrivateFile.readPublic(founderFile(vault), limit: 4096)) == text
  }

  /// Remembers that this user means the vault that the founder of `log` founded. The caller must know this from more
  /// than that log. Throws `cannotWrite`.
  package func trust(_ log: SeenLog, of vault: Identifier) throws {
    guard let text = Self.founder(of: log, vault), !isTrusted(log, of: vault) else { return }
    if !PrivateFile.exists(folder + "/trusted") { try PrivateFile.createFolder(folder + "/trusted") }
    try PrivateFile.withLock(folder) {
      try PrivateFile.replace(founderFile(vault), text.span.bytes, isDurable: true)
    }
  }

  /// The founder as it is kept; nil if what was seen of the log does not name one. Anybody can make a vault under the
  /// same identifier.
  private static func founder(of log: SeenLog, _ vault: Identifier) -> [UInt8]? {
    log.membership.founder.flatMap { key in
      (try? NoteKey(name: "relatch/\(vault)", key: key)).map { Array("\($0)\n".utf8) }
    }
  }

  private func logFile(_ vault: Identifier) -> String { "\(folder)/\(vault)" }

  private func founderFile(_ vault: Identifier) -> String { "\(folder)/trusted/\(vault)" }

  private func placeFile(_ place: String) -> String {
    "\(folder)/at/\(Array(SHA256.hash(Array(place.utf8)).bytes.prefix(16)).hex)"
  }

  /// Nil if there is no such file, or if it is empty, as a power cut can leave it.
  private func read(_ path: String) throws -> [UInt8]? {
    do {
      let bytes = try PrivateFile.readPublic(path, limit: Self.maximumFileSize)
      return bytes.isEmpty ? nil : bytes
    } catch let error as VaultError where error.code == .notFound {
      return nil
    } catch let error as VaultError where error.code == .unavailable {
      throw error
    } catch let error as VaultError where PrivateFile.isForbidden(path) {
      throw VaultError(.notPermitted, "what is remembered of the vault may not be read here: \(error)")
    } catch let error as VaultError {
      throw VaultError(
        .rolledBack,
        "what is remembered of the vault cannot be read: \(error); XDG_STATE_HOME names another place for it")
    }
  }

  private func unreadable(_ path: String) -> VaultError {
    VaultError(
      .rolledBack,
      "what is remembered of the vault, \(Name.printable(path)), is damaged: nothing shows whether the vault is an older copy",
      hint:
        "compare the log with a checkpoint kept elsewhere (`relatch log verify --checkpoint FILE`); --accept-rollback"
        + " then continues with the vault as it is, and remembers it again")
  }
}

extension SeenLog {
  private static let format = 1

  var size: UInt64 { checkpoint.checkpoint.size }

  /// A line with the members and the vault key's ID, then the checkpoint.
  var bytes: [UInt8] {
    let members = membership.standings.map(\.json)
    var line: [String: JSONValue] = [
      "actor": .string(actor), "key": .string(membership.keyID ?? ""), "members": .array(members),
      "v": .integer(Self.format),
    ]
    let bounds = membership.bounds
    if let restored = membership.restored { line["restored"] = .integer(Int(clamping: restored)) }
    if let renewal = bounds.renewal { line["renewal"] = .integer(Int(clamping: renewal)) }
    for (name, indices) in [("rekeyed", bounds.rekeyed), ("removed", bounds.removed)] where !indices.isEmpty {
      line[name] = .object(indices.mapValues { .integer(Int(clamping: $0)) })
    }
    if !bounds.unbound.isEmpty { line["unbound"] = .array(bounds.unbound.sorted().map { .string($0) }) }
    if !bounds.transferred.isEmpty { line["transferred"] = .object(bounds.transferred.mapValues { .string($0) }) }
    if let founder = membership.founder, membership.lacksFounder { line["founder"] = .string(founder.bytes.base64) }
    if !membership.witnesses.isEmpty {
      line["witnesses"] = .array(
        membership.witnesses.map {
          .object(["entry": .integer(Int(clamping: $0.entry)), "witness": $0.witness.json])
        })
    }
    return JSONValue.object(line).canonicalBytes + [0x0A] + checkpoint.bytes
  }

  init(decoding bytes: [UInt8]) throws {
    guard let end = bytes.firstIndex(of: 0x0A) else { throw VaultError(.corrupt, "what was seen of a log is cut off") }
    let checkpoint = try SignedCheckpoint(decoding: Array(bytes[(end + 1)...]))
    var object = try JSONMembers(of: JSONValue(readingCanonical: Array(bytes[..<end])), "what was seen of a log")
    try VaultError.requireFormat(object.count("v"), Self.format, "what was seen of a log")
    let actor = try object.string("actor")
    let key = try object.string("key")
    let standings = try object.array("members").map { try Member($0) }
    let bounds = CredentialBounds(
      renewal: try object.optionalCount("renewal").map { UInt64($0) },
      rekeyed: try Self.indices("rekeyed", in: &object), removed: try Self.indices("removed", in: &object),
      unbound: Set(
        try (object.optionalArray("unbound") ?? []).map { value in
          guard case .string(let name) = value else { throw VaultError(.corrupt, "a credential without a name") }
          return name
        }), transferred: try Self.handoffs(in: &object))
    let witnesses = try (object.optionalArray("witnesses") ?? []).map { value in
      var members = try JSONMembers(of: value, "a witness")
      let witness = try Membership.StandingWitness(
        witness: Witness(members.value("witness")), entry: UInt64(members.count("entry")))
      try members.finish()
      return witness
    }
    let founder = try object.optionalString("founder").map { try Self.founder($0) }
    let restored = try object.optionalCount("restored").map { UInt64($0) }
    try object.finish()
    let prefix = "relatch/"
    guard checkpoint.checkpoint.origin.hasPrefix(prefix) else {
      throw VaultError(.corrupt, "the log of something else")
    }
    let membership = Membership(
      vault: String(checkpoint.checkpoint.origin.dropFirst(prefix.count)), keyID: key.isEmpty ? nil : key,
      standings: standings, bounds: bounds, witnesses: witnesses, founder: founder,
      restored: restored)
    guard membership.standings == standings, membership.witnesses == witnesses,
      founder == nil || membership.lacksFounder
    else {
      throw VaultError(.corrupt, "members that contradict each other")
    }
    self.init(checkpoint: checkpoint, actor: actor, membership: membership)
  }

  private static func founder(_ text: String) throws -> VerifyingKey {
    guard let bytes = [UInt8](base64: text), let key = try? VerifyingKey(bytes) else {
      throw VaultError(.corrupt, "founder: expected a signing key")
    }
    return key
  }

  private static func handoffs(in members: inout JSONMembers) throws -> [String: String] {
    guard let value = try members.optionalValue("transferred") else { return [:] }
    guard case .object(let object) = value else { throw VaultError(.corrupt, "transferred: expected an object") }
    return try object.mapValues { value in
      guard case .string(let handoff) = value else { throw VaultError(.corrupt, "transferred: expected identifiers") }
      return handoff
    }
  }

  /// The optional member `name`: an object of log indices.
  private static func indices(_ name: String, in members: inout JSONMembers) throws -> [String: UInt64] {
    guard let value = try members.optionalValue(name) else { return [:] }
    guard case .object(let object) = value else { throw VaultError(.corrupt, "\(name): expected an object") }
    return try object.mapValues { value in
      guard case .integer(let index) = value, index >= 0 else {
        throw VaultError(.corrupt, "\(name): expected indices")
      }
      return UInt64(index)
    }
  }
}

extension VaultView {
  /// Where a log is not an extension of what was seen before.
  enum Departure {
    /// It is another log.
    case origin
    /// It has fewer entries.
    case end
    /// The entries that were seen are others.
    case history
  }

  /// The vault's identifier as it is stored, for a comparison: nothing is verified.
  package static func unverified(in transaction: any ReadTransaction) throws -> Identifier {
    try VaultHeader(decoding: VaultRows(transaction).header).id
  }

  /// Fails with `rolledBack` or `foundedByAnother` unless the log is an extension of `seen`, or `seen` of the log.
  /// Reads O(log n) rows.
  package func requireSameHistory(as seen: SeenLog) throws {
    // Commits by others meanwhile can make `seen` the longer log; it was then compared with the same store.
    guard seen.size <= known.end.size else { return }
    try requireExtension(of: seen)
  }

  /// The log as it was verified, to be remembered.
  package var seenLog: SeenLog { known.seen }

  /// Fails with `rolledBack` or `foundedByAnother` unless the log is an extension of `seen`, which was read before this
  /// view of the vault was opened. Reads O(log n) rows.
  package func requireExtension(of seen: SeenLog) throws {
    try Self.requireExtension(of: seen, newest: known.end.checkpoint.checkpoint, in: transaction)
  }

  /// Fails with `rolledBack` unless the log is an extension of what was seen of it before, or with `foundedByAnother`
  /// if it is not because somebody else founded it. Reads O(log n) rows.
  static func requireExtension(of log: SeenLog, newest: Checkpoint, in transaction: any ReadTransaction) throws {
    do {
      let seen = log.checkpoint.checkpoint
      try requireExtension(of: seen, newest: newest, in: transaction) { departure in
        switch departure {
        case .origin: "found the vault of the log \(newest.origin), expected \(seen.origin)"
        case .end:
          "the vault is an older copy: found a log of \(newest.size) entries, but \(seen.size) were seen before"
        case .history:
          "the vault has another history: the first \(seen.size) of its log's \(newest.size) entries are not those seen"
            + " before"
        }
      }
    } catch let error as VaultError where error.code == .rolledBack {
      try requireFounder(of: log, in: transaction)
      throw error
    }
  }

  /// Anybody can make a vault of any size under another vault's identifier and seal it to that vault's owners, but its
  /// first entry names its own founder. A damaged first entry is left to verification.
  private static func requireFounder(of seen: SeenLog, in transaction: any ReadTransaction) throws {
    guard let bytes = try transaction.value(in: .log, for: UInt64(0).bigEndianBytes),
      let first = try? LogEntry(decoding: bytes), let found = (try? Membership(genesis: first))?.founder,
      let founder = seen.membership.founder, found != founder
    else { return }
    let keys = try [found, founder].map { try NoteKey(name: seen.membership.origin, key: $0) }
    throw VaultError(
      .foundedByAnother,
      "this is not a copy of the vault that was seen before: it has its identifier, but was founded by another, \(keys[0]),"
        + " expected \(keys[1])",
      hint: "find out who put it there, and restore the vault from one of its own backups")
  }

  /// Fails with `rolledBack`, in the `words` for where it departs, unless a log that ends with `newest` is an extension
  /// of `seen`, and with `corrupt` if its tree is damaged.
  static func requireExtension(
    of seen: Checkpoint, newest: Checkpoint, in transaction: any ReadTransaction, _ words: (Departure) -> String
  ) throws {
    do {
      try AuditLog.requireExtension(of: seen, newest: newest, in: transaction)
    } catch let error as AuditError {
      switch error.code {
      case .inconsistent: throw VaultError(.rolledBack, words(seen.origin == newest.origin ? .history : .origin))
      case .incomplete: throw VaultError(.rolledBack, words(.end))
      case .corrupt:
        throw VaultError(
          .corrupt, error.description,
          hint: "`relatch log verify` says whether only the tree is damaged; --repair then mends it")
      default: throw error
      }
    }
  }
}
