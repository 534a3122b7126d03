import Age
import Audit
import JSON
import Sodium

// New keys for credentials. Everything that can fail because of what is stored of one credential is done before
// anything of it is written: one that is half written would be lost to everybody.
extension UnlockedVault {
  /// A credential with another key, of which nothing is written yet.
  struct PreparedRekeying {
    fileprivate var pairs: [(version: UInt64, record: [UInt8])] = []
    fileprivate var grants: [String: [UInt8]] = [:]
    fileprivate let wrapped: [UInt8]
    fileprivate let record: VaultChange.PreparedRecord
  }

  /// Gives each of `names` the key that `prepare` makes, and continues past those that are damaged: somebody who can
  /// write the folder must not be able to keep access by damaging a row. The damaged ones are withheld, so that the key
  /// that was known is of no use if the row is put back.
  ///
  /// Damage to the log concerns no single credential, and can be repaired: it ends all of this, with `AuditError`.
  func rekeying(
    _ names: [String], _ change: VaultChange, withAll: Bool = false, _ prepare: (String) throws -> PreparedRekeying
  ) throws -> Withdrawal {
    var withdrawal = Withdrawal()
    for name in names {
      let prepared: PreparedRekeying
      do { prepared = try prepare(name) } catch let error as VaultError where error.isDamage {
        try change.withhold(name, withAll ? ["with_all": true] : [:])
        withdrawal.damaged.append(name)
        continue
      }
      try store(prepared, change)
      withdrawal.exposed.append(name)
    }
    return withdrawal
  }

  /// Gives the credential `name` a new key, as `prepareRekeying` makes it. If it throws `VaultError`, nothing was
  /// changed.
  @discardableResult
  func rekey(
    _ name: String, _ change: VaultChange, opening old: VaultKey, wrapping new: VaultKey, _ history: AccessHistory,
    keepingAll: Bool = false, saying edit: (inout Credential) throws -> [String: JSONValue] = { _ in [:] }
  ) throws -> Credential {
    try store(
      prepareRekeying(
        name, change, opening: old, wrapping: new, history, keepingAll: keepingAll, saying: edit), change)
  }

  /// Makes a new key for the credential `name`, with its pairs sealed again, and the key sealed to those who hold a
  /// grant. A pair that is missing or does not open stays as it is, unless `keepingAll`: then `corrupt` is thrown for
  /// one that may be accepted. What `edit` changes is bound in the same entry, with the members that it returns. Writes
  /// nothing.
  func prepareRekeying(
    _ name: String, _ change: VaultChange, opening old: VaultKey, wrapping new: VaultKey, _ history: AccessHistory,
    without leaving: String? = nil, withAll: Bool = false, exposedTo: String? = nil, keepingAll: Bool = false,
    saying edit: (inout Credential) throws -> [String: JSONValue] = { _ in [:] }
  ) throws -> PreparedRekeying {
    // Not kept: this goes through many credentials, and does not come back for one.
    let stored = try change.view.credential(name, isKept: false)
    var credential = stored
    var fields = try edit(&credential)
    if withAll { fields["with_all"] = true }
    let oldKey = try old.unwrap(change.view.wrappedKey(of: credential), of: credential.id, in: header.id)
    guard try VaultKey.id(ofCredentialKey: oldKey) == credential.keyID else { throw Self.keyMismatch(credential) }
    let (key, keyID) = try credentialKey()
    var pairs: [(version: UInt64, record: [UInt8])] = []
    for version in credential.versions {
      let isKept = keepingAll && version.stage != .retired
      guard let sealed = try change.view.sealedPair(of: credential, version.number) else {
        guard !isKept else { throw VaultError(.corrupt, "version \(version.number) of \(name) is missing") }
        continue
      }
      do {
        pairs.append(
          (version.number, try reseal(sealed, version.number, of: credential, from: oldKey, to: key.secret)))
      } catch let error as VaultError where error.code == .corrupt && !isKept { continue }
    }
    let wrapped = try new.wrap(key.secret, of: credential.id, in: header.id, randomness)
    // Anyone who can write the folder can write a row for themselves: only the log says who holds a grant.
    var grants: [String: [UInt8]] = [:]
    for grantee in history.grantees(of: name) where grantee != leaving {
      guard let member = change.view.members.first(where: { $0.name == grantee }) else { continue }
      grants[grantee] = try seal(key.secret, to: member)
    }
    credential.keyID = keyID
    if let exposedTo {
      credential.expose(to: exposedTo, isStaging: try isStaging(credential, change, history), now: change.now)
    }
    let record: VaultChange.PreparedRecord
    do { record = try change.prepare(credential, replacing: stored, .credentialRekeyed, fields) } catch let error
      as AuditError
    { throw VaultError(.corrupt, "what the record of \(name) says does not fit in a log entry: \(error)") }
    return PreparedRekeying(pairs: pairs, grants: grants, wrapped: wrapped, record: record)
  }

  /// Writes what was prepared. Throws only the store's errors.
  @discardableResult
  func store(_ rekeying: PreparedRekeying, _ change: VaultChange) throws -> Credential {
    let id = rekeying.record.credential.id
    for pair in rekeying.pairs { try change.replacePair(pair.record, version: pair.version, of: id) }
    try change.storeKey(rekeying.wrapped, of: id)
    try change.storeGrants(rekeying.grants, on: id)
    return try change.store(rekeying.record)
  }

  /// Whether a pair was requested that is not saved yet.
  private func isStaging(_ credential: Credential, _ change: VaultChange, _ history: AccessHistory) throws -> Bool {
    do { return try change.view.isStaging(credential) } catch let error as VaultError where error.isDamage {
      // The journal's rows are damaged; they only point at what the log says.
      return history.newestKnown(of: credential.name) > credential.versions.last?.number ?? 0
    }
  }

  private func reseal(
    _ sealed: [UInt8], _ version: UInt64, of credential: Credential, from old: borrowing SecretBytes,
    to new: borrowing SecretBytes
  ) throws -> [UInt8] {
    let purpose = SealedRecord.Purpose.pair(credential.id, version: version)
    let document = try SealedRecord.open(sealed, key: old.bytes, purpose: purpose, vault: header.id)
    return try SealedRecord.seal(
      document.bytes, key: new.bytes, purpose: purpose, vault: header.id, randomness: randomness)
  }

  func seal(_ key: borrowing SecretBytes, to member: Member) throws -> [UInt8] {
    try AgeFile.seal(key.bytes, to: [member.recipient()], randomness: randomness, armored: false)
  }
}

extension AccessHistory {
  /// The credentials that exist, by name, whatever the rows say: there is always an owner, who has access to each.
  var credentials: [String] { Set(accesses.lazy.filter { $0.until == nil }.map(\.credential)).sorted() }

  /// The newest version of `credential` that somebody who could open it may know.
  fileprivate func newestKnown(of credential: String) -> UInt64 {
    accesses.first { $0.until == nil && $0.credential == credential }?.newestVersion ?? 0
  }
}

extension VaultView {
  /// The records of those of `names` that can be read.
  func readable(_ names: [String]) throws -> [String: Credential] {
    var records: [String: Credential] = [:]
    for name in names {
      do { records[name] = try credential(name, isKept: false) } catch let error as VaultError where error.isDamage {
        continue
      }
    }
    return records
  }
}
