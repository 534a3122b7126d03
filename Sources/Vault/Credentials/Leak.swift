package import Audit
package import JSON

/// Pairs of a credential are known to others. A leak stands until each of them is replaced, and seen to be refused:
/// until then every run of the credential serves that, without grace or window.
package struct Leak: Hashable, Sendable {
  /// The name of the incident in which it was first reported.
  package let incident: String
  /// When it was first reported.
  package let since: Timestamp
  /// The newest version that leaked; those before it count as leaked, too.
  package let version: UInt64

  package init(incident: String, since: Timestamp, version: UInt64) {
    self.incident = incident
    self.since = since
    self.version = version
  }
}

extension Leak {
  package var json: JSONValue {
    .object([
      "incident": .string(incident), "since": .string(since.description), "version": .integer(Int(clamping: version)),
    ])
  }

  init(_ json: JSONValue) throws {
    var members = try JSONMembers(of: json, "leak")
    incident = try members.string("incident")
    do { try Name.check(incident, "incident") } catch {
      throw VaultError(.corrupt, "a leak in an incident without a name")
    }
    since = try members.timestamp("since")
    version = UInt64(try members.count("version"))
    try members.finish()
    guard version > 0 else { throw VaultError(.corrupt, "a leak of version 0") }
  }
}

extension Credential {
  /// Notes that the versions up to `version` leaked. A leak that already stands remains the same one, and grows.
  ///
  /// Notes nothing if all of these were seen to be refused. Versions beyond the next one are left out; the next one is
  /// not, because whoever asked for it may know it.
  package mutating func noteLeak(incident: String, version: UInt64, now: Timestamp) {
    leak = Leak(
      incident: leak?.incident ?? incident, since: leak?.since ?? now,
      version: max(min(version, newestNumber + 1), leak?.version ?? 0))
    endLeakIfOver()
  }

  /// Limits the leak to the newest version, which was just added. Nobody reported a version beyond that, and such a
  /// leak would never end.
  mutating func limitLeakToNewestVersion() {
    guard let leak, leak.version > newestNumber else { return }
    self.leak = Leak(incident: leak.incident, since: leak.since, version: newestNumber)
  }

  /// Whether the active version leaked, and is to be replaced at once.
  package var isActiveLeaked: Bool { leak.map { version(in: .active)?.number ?? 0 <= $0.version } ?? false }

  /// Whether the staged version leaked, and must not become active.
  package var isStagedLeaked: Bool {
    guard let leak, let staged = version(in: .staged) else { return false }
    return staged.number <= leak.version
  }

  /// What the provider may still accept, and nobody would see refused if the credential were forgotten: what is staged
  /// or owed, and the active version if it leaked or is in the reach of a leaked administrator.
  package var unsettled: [Version] {
    let debts = Set(debts.map(\.number))
    return versions.filter { version in
      version.stage == .staged || debts.contains(version.number)
        || version.stage == .active && (isActiveLeaked || reach != nil)
    }
  }

  /// The debts that leaked: no grace spares them.
  package var leakedDebts: [Version] { debts.filter { $0.number <= leak?.version ?? 0 } }

  /// Ends the leak once none of its versions can be accepted any more, as far as was seen.
  mutating func endLeakIfOver() {
    if !isActiveLeaked && !isStagedLeaked && leakedDebts.isEmpty { leak = nil }
  }
}
