import Age
package import Audit
import JSON
import Sodium
import Storage

// Only owners decide who may open what. Each of these is one durable step: if it is interrupted, none of it happened,
// except that a new vault key may have been kept, which opens nothing.
extension UnlockedVault {
  /// Keeps a new vault key: durable, under the header's `keyID`, before it returns. The one in use must stay.
  package typealias KeyKeeper = @Sendable (_ header: VaultHeader, _ keyFile: [UInt8]) throws -> Void

  /// What taking someone's access away has changed.
  package struct Withdrawal: Sendable {
    /// The credentials that were open to them, by name: re-keyed, and marked for rotation.
    package var exposed: [String] = []
    /// Those of them, or possibly of them, that are damaged, by name: they could not be re-keyed or marked, and are
    /// withheld instead. Damage lets nobody keep access.
    package var damaged: [String] = []
  }

  /// Makes `card` a member. Throws `notPermitted` unless this member is an owner; `alreadyExists` if a member already
  /// has the name, the recipient or the signing key.
  ///
  /// An owner opens everything from then on: the vault key is renewed, sealed to all owners, and given to `keep` first.
  /// Returns the names of what an owner possibly cannot open, because its record or its key is damaged. For the other
  /// owners nothing changes.
  @discardableResult
  package func addMember(_ card: LogMember, now: Timestamp, keeping keep: KeyKeeper) async throws -> [String] {
    try Name.check(card.name, "member name")
    // A member that nothing can be sealed to would block every later grant.
    guard (try? AgeRecipient(card.age)) != nil else {
      throw VaultError(.invalidInput, "the card of \(card.name) has no readable age recipient")
    }
    guard card.role == .owner else {
      return try await change(now: now) { change in
        try Self.requireNew(card, among: change.view.members)
        try change.addMember(card)
        return []
      }
    }
    let before = try await locked.read { try AccessHistory($0) }
    return try await renewingVaultKey(now: now, keeping: keep, to: { $0 + [card] }) { change, keys in
      try Self.requireNew(card, among: change.view.members)
      var history = before
      try history.extend(to: change.view)
      // A key shows by itself whose it is: its record need not be readable.
      var sealed: Set<Identifier> = []
      for (credential, wrapped) in try change.wrappedKeys() {
        do {
          let key = try keys.old.unwrap(wrapped, of: credential, in: keys.header.id)
          try change.storeKey(keys.new.wrap(key, of: credential, in: keys.header.id, randomness), of: credential)
          sealed.insert(credential)
        } catch let error as VaultError where error.isDamage { continue }
      }
      try change.addMember(card)
      try change.save(keys.header, rekeyingCredentials: false)
      let names = history.credentials
      let records = try change.view.readable(names)
      return names.filter { name in records[name].map { !sealed.contains($0.id) } ?? true }
    }
  }

  private static func requireNew(_ card: LogMember, among members: [Member]) throws {
    guard
      let other = members.first(where: {
        $0.name == card.name || $0.card.age == card.age || $0.card.signing == card.signing
      })
    else { return }
    throw VaultError(.alreadyExists, "\(other.name) is a member already, by that name or with that identity")
  }

  /// Ends a membership with everything that belonged to it: grants are taken back, each credential that was open to the
  /// member gets a new key and is marked for rotation, and if an owner leaves, the vault key is renewed, too, all in
  /// one durable step. Throws `notFound`; `notPermitted` unless this member is an owner, and not the one to be removed;
  /// `AuditError` if the log is damaged.
  package func removeMember(_ name: String, now: Timestamp, keeping keep: KeyKeeper) async throws -> Withdrawal {
    guard name != member.name else {
      throw VaultError(
        .notPermitted, "\(name) cannot remove themselves: one owner must always remain",
        hint: "ask another owner to remove this member")
    }
    return try await Self.again { try await removeOnce(name, now: now, keeping: keep) }
  }

  private func removeOnce(_ name: String, now: Timestamp, keeping keep: KeyKeeper) async throws -> Withdrawal {
    let found = try await locked.read { $0.members }.first { $0.name == name }
    guard let leaving = found else {
      throw VaultError(.notFound, "the vault has no member \(Name.printable(name))")
    }
    // Replayed before the transaction, because others wait for that.
    let before = try await locked.read { try AccessHistory($0) }
    if leaving.card.role == .owner {
      let without: ([LogMember]) -> [LogMember] = { $0.filter { $0.name != name } }
      return try await renewingVaultKey(now: now, keeping: keep, to: without) { change, keys in
        guard change.view.members.contains(leaving) else { throw Self.membersChanged }
        var history = before
        try history.extend(to: change.view)
        try change.removeMember(name)
        try change.save(keys.header, rekeyingCredentials: true)
        return try rekeying(history.credentials, change, withAll: true) { credential in
          try prepareRekeying(
            credential, change, opening: keys.old, wrapping: keys.new, history, withAll: true, exposedTo: name)
        }
      }
    }
    return try await change(now: now) { change in
      guard change.view.members.contains(leaving) else { throw Self.membersChanged }
      let key = try vaultKey(of: change.view.header)
      var history = before
      try history.extend(to: change.view)
      let names = try change.view.withAdministered(history.grants(of: name), of: history.credentials)
      try change.removeMember(name)
      return try rekeying(names, change) { credential in
        try prepareRekeying(
          credential, change, opening: key, wrapping: key, history, without: name, exposedTo: name)
      }
    }
  }

  /// Lets an operator open one credential. Throws `notFound`; `alreadyExists` if the log says that they hold a grant,
  /// and its row is there; `invalidInput` for owners, who need none, and auditors, who open nothing.
  package func grant(_ credential: String, to member: String, now: Timestamp) async throws {
    let before = try await locked.read { try AccessHistory($0) }
    try await change(now: now) { change in
      guard let grantee = change.view.members.first(where: { $0.name == member }) else {
        throw VaultError(.notFound, "the vault has no member \(Name.printable(member))")
      }
      guard grantee.card.role == .operator else {
        throw VaultError(
          .invalidInput,
          grantee.card.role == .owner
            ? "\(member) is an owner, who opens every credential without a grant"
            : "\(member) is an auditor, who opens nothing: a grant is for an operator")
      }
      let record = try change.view.credential(credential)
      var history = before
      try history.extend(to: change.view)
      // Anyone who can write the folder can write a row, and take one away.
      guard try !history.grantees(of: credential).contains(member) || !change.view.hasGrant(on: record, member) else {
        throw VaultError(.alreadyExists, "\(member) holds a grant on \(credential) already")
      }
      let key = try vaultKey(of: change.view.header)
        .unwrap(change.view.wrappedKey(of: record), of: record.id, in: change.view.header.id)
      guard try VaultKey.id(ofCredentialKey: key) == record.keyID else { throw Self.keyMismatch(record) }
      try change.log(.grantAdded, about: credential, ["grantee": .string(member)])
      try change.storeGrant(seal(key, to: grantee), on: record.id, to: member)
    }
  }

  /// Takes a grant back: the credential gets a new key and is marked for rotation. Throws `notFound`; `AuditError` if
  /// the log is damaged.
  package func ungrant(_ credential: String, from member: String, now: Timestamp) async throws -> Withdrawal {
    let before = try await locked.read { try AccessHistory($0) }
    return try await change(now: now) { change in
      var history = before
      try history.extend(to: change.view)
      guard history.grantees(of: credential).contains(member) else {
        _ = try change.view.credential(credential)
        throw VaultError(.notFound, "\(Name.printable(member)) holds no grant on \(credential)")
      }
      let key = try vaultKey(of: change.view.header)
      try change.log(.grantRemoved, about: credential, ["grantee": .string(member)])
      let names = try change.view.withAdministered([credential], of: history.credentials)
      return try rekeying(names, change) { name in
        // A grant on another credential stays, and so does what it opens.
        try prepareRekeying(
          name, change, opening: key, wrapping: key, history, without: name == credential ? member : nil,
          exposedTo: member)
      }
    }
  }

  /// Renews the vault key and every credential's key, and seals everything again, in one durable step. Returns how many
  /// credentials were re-keyed, and the names of the damaged ones, which are withheld instead. If none is damaged, keys
  /// and pairs that belong to no credential are removed.
  package func rekey(now: Timestamp, keeping keep: KeyKeeper) async throws -> (count: Int, damaged: [String]) {
    let before = try await locked.read { try AccessHistory($0) }
    return try await renewingVaultKey(now: now, keeping: keep, to: { $0 }) { change, keys in
      var history = before
      try history.extend(to: change.view)
      try change.save(keys.header, rekeyingCredentials: true)
      let names = history.credentials
      // Read before they are written again: what is written cannot be read before it is signed.
      let records = try change.view.readable(names)
      let renewed = try rekeying(names, change, withAll: true) { name in
        try prepareRekeying(name, change, opening: keys.old, wrapping: keys.new, history, withAll: true)
      }
      if records.count == names.count {
        try change.removeRowsOfOthers(than: Set(records.values.map(\.id)))
      }
      return (renewed.exposed.count, renewed.damaged)
    }
  }

  /// Removes a credential with all its pairs, which nobody can open afterwards, and returns it as it was. Its name may
  /// be used again. Throws `notFound`; `notPermitted` unless this member is an owner; what `VaultView.requireRemovable`
  /// throws. If `check` throws, the credential stays, too: it belongs to the same step.
  package func remove(
    _ credential: String, forgettingDebts: Bool, now: Timestamp,
    unless check: @Sendable (VaultChange, Credential) throws -> Void = { _, _ in }
  ) async throws -> Credential {
    try await change(now: now) { change in
      let record = try change.view.credential(credential)
      try check(change, record)
      try change.view.requireRemovable(record, forgettingDebts: forgettingDebts)
      try change.remove(record)
      return record
    }
  }

  /// Removes a credential whose record is damaged or missing, if the log says that it exists. Nothing is known of its
  /// pairs, and nobody can open them afterwards. Returns the identifiers of what was removed with it: its own, unless
  /// another record is damaged as well. Then nobody knows what belongs to which, and it is removed with the last of
  /// them.
  ///
  /// Throws `notFound` if the log knows no such credential; `invalidInput` if its record can be read, or it administers
  /// another; `notPermitted` unless this member is an owner.
  package func remove(unreadable name: String, now: Timestamp) async throws -> [Identifier] {
    let before = try await locked.read { try AccessHistory($0) }
    return try await change(now: now) { change in
      var history = before
      try history.extend(to: change.view)
      guard history.credentials.contains(name) else {
        throw VaultError(.notFound, "the vault has no credential \(Name.printable(name))")
      }
      guard try !change.view.canRead(name) else {
        throw VaultError(.invalidInput, "the record of \(name) is not damaged")
      }
      try change.view.requireNotAdministrator(name, passing: true)
      try change.remove(unreadable: name)
      let others = history.credentials.filter { $0 != name }
      guard try others.allSatisfy({ try change.view.canRead($0) }) else { return [] }
      let records = try change.view.readable(others)
      return try change.removeRowsOfOthers(than: Set(records.values.map(\.id)))
    }
  }

  // MARK: - New keys

  /// A vault key, and the one that it replaces.
  private struct NewKeys {
    let old: VaultKey
    let new: VaultKey
    /// Names the new one.
    let header: VaultHeader
  }

  private static var membersChanged: VaultError {
    VaultError(.keyChanged, "the members were changed by another owner at the same moment")
  }

  static func keyMismatch(_ credential: Credential) -> VaultError {
    VaultError(.corrupt, "the key of \(credential.name) is not the one that its record names")
  }

  /// Makes a vault key for the owners that `change` makes of the present ones, keeps it, and runs `body` in one
  /// transaction that finds the same members. Nothing is sealed under the new key unless all of it becomes durable.
  private func renewingVaultKey<Result: Sendable>(
    now: Timestamp, keeping keep: KeyKeeper, to change: ([LogMember]) -> [LogMember],
    _ body: @escaping @Sendable (VaultChange, NewKeys) throws -> Result
  ) async throws -> Result {
    try await Self.again {
      let (header, members) = try await locked.read { ($0.header, $0.members) }
      let old = try vaultKey(of: header)
      let owners = try change(members.map(\.card).filter { $0.role == .owner })
        .map { try Member(card: $0, entry: 0).recipient() }
      let new = try VaultKey(randomness.secret(VaultKey.size))
      let keys = NewKeys(
        old: old, new: new, header: VaultHeader(id: header.id, created: header.created, keyID: new.id))
      try keep(keys.header, new.sealed(to: owners, randomness: randomness))
      return try await self.change(now: now) { change in
        guard change.view.header == header, change.view.members == members else { throw Self.membersChanged }
        return try body(change, keys)
      }
    }
  }
}
