import Audit
import JSON
import Storage
import Vault

extension Places {
  /// Opens the vault for a look at entries of its log. The look is itself an entry, durable before anything is shown.
  ///
  /// The entry is written with a member's identity that can be opened without asking anybody. Nothing is written if
  /// there is none, as for an auditor with public keys, or if the vault cannot be written, as in a copy on a read-only
  /// medium or on a full disk. `fields` say what was asked for, and never what was found.
  ///
  /// Throws `notFound` first if the log never mentions one of `names`: a name that nothing ever had does not go into
  /// the log.
  func openLogged(
    at what: String, _ fields: [String: JSONValue] = [:], about names: Set<String> = []
  ) async throws -> LockedVault {
    let locked = try await openLocked()
    if !names.isEmpty { try await locked.read { try $0.requireMentionedInLog(names) } }
    return try await noteRead(at: what, fields, in: locked)
  }

  /// Returns what `find` finds in the vault about `name`. It looks before it logs, so that a name that nothing ever had
  /// does not go into the log, and returns once the entry is durable, as in `openLogged`. Throws what `find` throws.
  func look<Found: Sendable>(
    at what: String, about name: String?, _ find: @Sendable (VaultView) throws -> Found
  ) async throws -> Found {
    let locked = try await openLocked()
    let found = try await locked.read { try find($0) }
    _ = try await noteRead(at: what, name.map { ["about": .string($0)] } ?? [:], in: locked)
    return found
  }

  /// Writes the entry that somebody looked, unless it need not or cannot be written. Returns `locked`.
  private func noteRead(
    at what: String, _ fields: [String: JSONValue], in locked: LockedVault
  ) async throws -> LockedVault {
    guard VaultFolder.isWritable(self), let identity = try (try? identityFile)?.openWithoutAsking(),
      let vault = try? await unlock(locked, by: identity)
    else { return locked }
    let (fields, now, member) = (fields.merging(["what": .string(what)]) { $1 }, WallClock.now(), vault.member.name)
    guard try await !locked.read({ try $0.hasJustBeenRead(by: member, fields, now) }) else { return locked }
    do { try await vault.change(now: now) { change in _ = try change.log(.logRead, fields) } } catch let error
      as StorageError where error.code == .cannotWrite
    {
      // Whoever cannot write is not kept from looking: a full disk is when the report of a leak is wanted.
      Diagnostics.standard.warning("the vault cannot be written, and its log has no entry about this look: \(error)")
    }
    return locked
  }
}

extension LockedVault {
  /// The part of the first `size` entries that lies between the times of `selection`.
  func span(of selection: LogBundle.Selection, size: UInt64) async throws -> LogBundle.Span {
    var span = LogBundle.Span(of: selection)
    guard span.isOfTime else { return span }
    let page: UInt64 = 1000
    for first in stride(from: 0, to: size, by: Int(page)) {
      let times = try await read { view in
        try (first..<min(size, first + page)).map { try view.authenticatedEntry(at: $0).time }
      }
      for (offset, time) in times.enumerated() { span.note(time, at: first + UInt64(offset)) }
    }
    return span
  }
}

extension VaultView {
  /// The most entries that are searched backwards for an earlier look.
  private static let maximumLooks: UInt64 = 64

  /// Whether `member` has asked for the same today and only looks have been logged since. Otherwise a collector that
  /// asks every minute would fill the log with its looks.
  fileprivate func hasJustBeenRead(by member: String, _ fields: [String: JSONValue], _ now: Timestamp) throws -> Bool {
    // A collector goes on from another number each time. A look that began at the same number or an earlier one has
    // covered this one.
    func asked(_ details: [String: JSONValue]) -> [String: JSONValue] { details.filter { $0.key != "from" } }
    func first(_ details: [String: JSONValue]) -> Int {
      if case .integer(let number)? = details["from"] { number } else { 0 }
    }
    for back in 1...min(Self.maximumLooks, logSize) {
      let entry = try authenticatedEntry(at: logSize - back)
      guard entry.event == EventName.logRead.text else { return false }
      guard entry.member == member, asked(entry.details) == asked(fields), first(entry.details) <= first(fields) else {
        continue
      }
      return entry.time.description.prefix(10) == now.description.prefix(10)
    }
    return false
  }
}

extension LogBundle.Selection {
  /// The details of an entry that say what was asked for.
  var fields: [String: JSONValue] {
    var fields: [String: JSONValue] = [:]
    if !credentials.isEmpty { fields["credentials"] = .array(credentials.sorted().map { .string($0) }) }
    if let since { fields["since"] = .string(since.description) }
    if let until { fields["until"] = .string(until.description) }
    return fields
  }
}
