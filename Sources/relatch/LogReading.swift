import Audit
import JSON
import Storage
import Vault

extension Places {
  /// The vault, for a look at entries of its log: that somebody looked is an entry itself, durable before anything is shown.
  ///
  /// It is written with the identity of a member that is at hand without asking anybody. Where there is none, as at an auditor's
  /// with public keys, and where the vault cannot be written at all, as in a copy on a read-only medium, nothing is. `fields`
  /// say what was asked for, and never what was found.
  ///
  /// Throws `notFound` first where the log never spoke of one of `names`: what is no name of anything does not go into it.
  func openLooking(
    at what: String, _ fields: [String: JSONValue] = [:], about names: Set<String> = []
  ) async throws -> LockedVault {
    let locked = try await openLocked()
    if !names.isEmpty { try await locked.read { try $0.requireSpokenOf(names) } }
    return try await noteLook(at: what, fields, in: locked)
  }

  /// What `find` finds in the vault for a look at what has `name`: looked up first, so that what is no name of anything does not go
  /// into the log, and handed over when the entry is durable, as by `openLooking`. Throws what `find` throws.
  func look<Found: Sendable>(
    at what: String, about name: String?, _ find: @Sendable (VaultView) throws -> Found
  ) async throws -> Found {
    let locked = try await openLocked()
    let found = try await locked.read { try find($0) }
    _ = try await noteLook(at: what, name.map { ["about": .string($0)] } ?? [:], in: locked)
    return found
  }

  /// Writes the entry that somebody looked, and returns the vault to look at: `locked`, or the same with the entry.
  private func noteLook(
    at what: String, _ fields: [String: JSONValue], in locked: LockedVault
  ) async throws -> LockedVault {
    guard VaultFolder.isWritable(self), let identity = try (try? identityFile)?.openWithoutAsking(),
      let vault = try? await unlock(locked, by: identity)
    else { return locked }
    let (fields, now, member) = (fields.merging(["what": .string(what)]) { $1 }, WallClock.now(), vault.member.name)
    guard try await !locked.read({ try $0.hasJustBeenRead(by: member, fields, now) }) else { return locked }
    try await vault.change(now: now) { change in _ = try change.log(.logRead, fields) }
    return locked
  }
}

extension LockedVault {
  /// The part of the first `size` entries that the times of `selection` bound.
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
  /// How many looks of others are passed over.
  private static let mostLooks: UInt64 = 64

  /// Whether `member` has asked for the same today, and nothing but looks came since: a collector that asks each minute would
  /// otherwise make a log of nothing else.
  fileprivate func hasJustBeenRead(by member: String, _ fields: [String: JSONValue], _ now: Timestamp) throws -> Bool {
    // Where a collector goes on from is another number each time. Who looked from there on saw what comes after, and nothing before.
    func asked(_ details: [String: JSONValue]) -> [String: JSONValue] { details.filter { $0.key != "from" } }
    func first(_ details: [String: JSONValue]) -> Int {
      if case .integer(let number)? = details["from"] { number } else { 0 }
    }
    for back in 1...min(Self.mostLooks, logSize) {
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
  /// As an entry says what was asked for.
  var fields: [String: JSONValue] {
    var fields: [String: JSONValue] = [:]
    if !credentials.isEmpty { fields["credentials"] = .array(credentials.sorted().map { .string($0) }) }
    if let since { fields["since"] = .string(since.description) }
    if let until { fields["until"] = .string(until.description) }
    return fields
  }
}
