import Age
package import Audit
package import JSON
package import Sodium
package import Storage

/// A vault opened by a member's identity: reads and seals pairs, and changes records with their log entries.
///
/// Opening and sealing happen outside transactions; a pair is released only after the entry that says so is durable.
package struct UnlockedVault: Sendable {
  package let locked: LockedVault
  /// The vault's header when it was opened.
  package let header: VaultHeader
  package let member: Member
  let identity: Identity
  /// Nil unless the member is an owner.
  private let ownersKey: OwnersKey?
  let randomness: Randomness

  package var store: any Store { locked.store }
  private var memory: VaultMemory { locked.memory }

  /// Opens the vault in `store`, of which nothing was seen before, with `identity`.
  package init(
    _ store: any Store, identity: Identity, keyFile: @escaping @Sendable (VaultHeader) throws -> [UInt8],
    randomness: Randomness
  ) async throws {
    try await self.init(LockedVault(store), identity: identity, keyFile: keyFile, randomness: randomness)
  }

  /// Opens `locked` with `identity`; `keyFile` returns the content of `keys/<key ID>.age`.
  ///
  /// Throws `notPermitted` if the identity is not a member, and what `LockedVault.read` throws.
  package init(
    _ locked: LockedVault, identity: Identity, keyFile: @escaping @Sendable (VaultHeader) throws -> [UInt8],
    randomness: Randomness
  ) async throws {
    let (header, members) = try await locked.read { ($0.header, $0.members) }
    guard
      let member = members.first(where: {
        $0.card.signing == identity.signingKey.verifyingKey && $0.card.age == identity.age.recipient.description
      })
    else {
      throw VaultError(
        .notPermitted,
        "the identity \(identity.age.recipient) is not one of this vault's, whose members are \(members.map(\.name).joined(separator: ", "))"
      )
    }
    self.locked = locked
    self.header = header
    self.member = member
    self.identity = identity
    self.randomness = randomness
    ownersKey = member.card.role == .owner ? try OwnersKey(of: header, identity, keyFile) : nil
  }

  /// The vault key that `header` names. Throws `notPermitted` unless the member is an owner.
  func vaultKey(of header: VaultHeader) throws -> VaultKey {
    guard let ownersKey else {
      throw VaultError(.notPermitted, "member \(member.name) is not an owner, and only owners can do that")
    }
    return try ownersKey.key(of: header)
  }

  // MARK: - Keys and pairs

  /// The key of the credential `name`, with its record as it is now.
  func credentialKey(of name: String) async throws -> (key: SharedSecret, credential: Credential) {
    let member = member
    let (header, credential, sealed) = try await locked.read { view in
      let credential = try view.credential(name)
      return (view.header, credential, try view.sealedKey(of: credential, for: member))
    }
    return (try open(key: sealed, of: credential, header), credential)
  }

  /// Opens what `VaultView.sealedKey` returned. Throws `corrupt` unless it is the key that the credential's record
  /// names.
  func open(key sealed: [UInt8], of credential: Credential, _ header: VaultHeader) throws -> SharedSecret {
    let key: SecretBytes
    if member.card.role == .owner {
      key = try vaultKey(of: header).unwrap(sealed, of: credential.id, in: header.id)
    } else {
      do { key = try AgeFile.open(sealed.span.bytes, with: [identity.age]) } catch let error as AgeError {
        throw VaultError(.corrupt, "the grant of \(member.name) on \(credential.name) does not open: \(error)")
      }
    }
    // Anyone can seal anything to a member: the record, which the log vouches for, says which key it must be.
    guard try VaultKey.id(ofCredentialKey: key) == credential.keyID else {
      throw VaultError(.corrupt, "the key of \(credential.name) is not the one that its record names")
    }
    return SharedSecret(key)
  }

  /// The key of the credential `name` as it is now, to seal pairs under it.
  package func key(of name: String) async throws -> CredentialKey {
    let (key, credential) = try await credentialKey(of: name)
    return CredentialKey(credential: credential, secret: key)
  }

  /// Seals `pair` as version `version` of the credential `name`, ready to be stored by a change.
  package func seal(_ pair: Pair, of name: String, version: UInt64) async throws -> SealedPair {
    try await seal(pair, as: version, under: key(of: name))
  }

  /// The same under a key that is already known. A change refuses a pair sealed under a key that was renewed since.
  package func seal(_ pair: Pair, as version: UInt64, under key: CredentialKey) throws -> SealedPair {
    try seal(pair, of: key.credential, version: version, key.secret.secret)
  }

  private func seal(
    _ pair: Pair, of credential: Credential, version: UInt64, _ key: borrowing SecretBytes
  ) throws -> SealedPair {
    // A pair that could not be read back would be lost when it is needed.
    try Pair.check(pair.clientID, "client_id")
    try Pair.check(pair.clientSecret, "client_secret")
    if let token = pair.registrationToken { try Pair.check(token.secret, "registration_access_token") }
    let document = try pair.sealedDocument()
    let record = try SealedRecord.seal(
      document.bytes, key: key.bytes, purpose: .pair(credential.id, version: version), vault: header.id,
      randomness: randomness)
    return SealedPair(credential: credential.id, keyID: credential.keyID, version: version, record: record)
  }

  /// Opens the chosen versions, after an entry `event` that names them is durable.
  ///
  /// Throws `notFound`, `notPermitted`, or `corrupt`.
  package func pairs(
    of name: String, choosing choose: @Sendable (Credential) throws -> [Version], event: EventName,
    _ fields: [String: JSONValue] = [:], now: Timestamp
  ) async throws -> [(version: Version, pair: Pair)] {
    try await release(of: name, choosing: choose, event: event, fields, now: now).pairs
  }

  /// The same for pairs that leave this process. If the vault was put back from a backup and the credential has not
  /// been compared with its provider since, `unreconciled` says so: its pairs may have been replaced since the backup.
  package func release(
    of name: String, choosing choose: @Sendable (Credential) throws -> [Version], event: EventName,
    _ fields: [String: JSONValue] = [:], now: Timestamp
  ) async throws -> (unreconciled: VaultRestoration?, pairs: [(version: Version, pair: Pair)]) {
    let (restoration, pairs) = try await pairs(of: name, choosing: choose, now: now) { change, sealed in
      var fields = fields
      fields["versions"] = sealed.numbers
      try change.log(event, about: name, fields)
      return try change.view.restoration(unreconciled: sealed.credential)
    }
    return (restoration, pairs)
  }

  /// The same, with `log` in place of that entry: it writes at least one entry that names the versions.
  func pairs<Result: Sendable>(
    of name: String, choosing choose: @Sendable (Credential) throws -> [Version], now: Timestamp,
    logging log: @Sendable (VaultChange, SealedVersions) throws -> Result
  ) async throws -> (result: Result, pairs: [(version: Version, pair: Pair)]) {
    let member = member
    let (sealed, result) = try await change(now: now) { change in
      let sealed = try change.view.sealedVersions(
        of: change.view.credential(name), for: member, choosing: choose)
      return (sealed, try log(change, sealed))
    }
    return (result, try open(sealed).pairs)
  }

  /// Opens what a change of this vault has read and logged, once that is durable.
  package func open(
    _ sealed: SealedVersions
  ) throws -> (key: CredentialKey, pairs: [(version: Version, pair: Pair)]) {
    let key = try open(key: sealed.key, of: sealed.credential, sealed.header)
    let pairs = try sealed.versions.map { version, record in
      (version: version, pair: try open(record, as: version.number, of: sealed.credential, key.secret))
    }
    return (CredentialKey(credential: sealed.credential, secret: key), pairs)
  }

  func open(
    _ record: [UInt8], as version: UInt64, of credential: Credential, _ key: borrowing SecretBytes
  ) throws -> Pair {
    let document = try SealedRecord.open(
      record, key: key.bytes, purpose: .pair(credential.id, version: version), vault: header.id)
    do { return try Pair(reading: SharedSecret(document)) } catch let error as JSONError {
      throw VaultError(.corrupt, "version \(version) of \(credential.name) is not a pair: \(error)")
    }
  }

  // MARK: - Reading

  /// Runs `body` on one snapshot of the vault. What this process has verified and finds unchanged is not verified
  /// again.
  package func read<Result: Sendable>(_ body: @Sendable (VaultView) throws -> Result) async throws -> Result {
    try await locked.read(body)
  }

  // MARK: - Changes

  /// Runs `body` in one durable transaction: what it stores and what it logs take effect together. If it throws,
  /// nothing changes. Changes that the store commits together are signed together.
  package func change<Result: Sendable>(
    now: Timestamp, _ body: @Sendable (VaultChange) throws -> Result
  ) async throws -> Result {
    let signer = LogSigner(member: member.name, origin: header.origin, key: identity.signingKey)
    let member = member
    let header = header
    let memory = memory
    let (result, signed) = try await store.write { transaction in
      let view = try VaultView(changing: transaction, remembering: memory)
      guard view.header.id == header.id else {
        throw VaultError(.corrupt, "the vault was replaced by another while in use")
      }
      guard view.members.contains(member) else {
        throw VaultError(.notPermitted, "member \(member.name) was changed while in use")
      }
      let change = VaultChange(transaction, view: view, member: member.name, now: now)
      let result = try body(change)
      return (result, try change.commit(by: signer, remembering: memory))
    }
    if let seen = signed?.value { memory.found(seen) }
    return result
  }

  /// Adds a credential with `pair` as its active version 1, made by the provider at `made` if that is known. Throws
  /// `alreadyExists`; `notFound` if its administrator, or a credential that it must not be rotated together with, does
  /// not exist; `invalidInput` if its administrator was handed over, or is administered by it, directly or through
  /// others, or if `Policy.requireReasonableInterval` or `requireReasonablePropagation` refuses its policy.
  ///
  /// `exposedTo` names somebody who knows the pair and should no longer know it. It is also exposed to those to whom its
  /// administrator is, or what administers that. What `body` does belongs to the same step.
  package func add(
    name: String, provider: String, settings: [String: String], policy: Policy, admin: String, pair: Pair,
    made: Timestamp? = nil, exposedTo: String? = nil, now: Timestamp,
    with body: @Sendable (VaultChange) throws -> Void = { _ in }
  ) async throws -> Credential {
    try await add(
      NewCredential(
        name: name, provider: provider, settings: settings, policy: policy, admin: admin, pair: pair, made: made),
      exposedTo: exposedTo, now: now, with: body)
  }

  /// The same for what was put together already.
  package func add(
    _ one: NewCredential, exposedTo: String? = nil, now: Timestamp,
    with body: @Sendable (VaultChange) throws -> Void = { _ in }
  ) async throws -> Credential {
    let added = try await add([one], exposedTo: exposedTo, now: now, with: body)
    guard let credential = added.first else { throw VaultError(.corrupt, "\(one.name) was not added") }
    return credential
  }

  /// Adds all of them in one step, in their order, or none; throws as for one.
  package func add(
    _ all: [NewCredential], exposedTo: String? = nil, now: Timestamp,
    with body: @Sendable (VaultChange) throws -> Void = { _ in }
  ) async throws -> [Credential] {
    for one in all {
      try Credential.check(name: one.name, provider: one.provider, settings: one.settings)
      try one.policy.requireReasonableInterval()
      try one.policy.requireReasonablePropagation()
    }
    return try await UnlockedVault.again {
      try await addOnce(all, exposedTo: exposedTo, now: now, with: body)
    }
  }

  private func addOnce(
    _ all: [NewCredential], exposedTo: String?, now: Timestamp, with body: @Sendable (VaultChange) throws -> Void
  ) async throws -> [Credential] {
    let header = try await locked.read { $0.header }
    let vaultKey = try vaultKey(of: header)
    let prepared = try all.map { one in
      let (key, keyID) = try credentialKey()
      let credential = Credential(
        id: Identifier(drawnFrom: randomness), name: one.name, provider: one.provider, settings: one.settings,
        policy: one.policy, admin: one.admin, keyID: keyID, created: now, made: one.made)
      let wrapped = try vaultKey.wrap(key.secret, of: credential.id, in: header.id, randomness)
      return (credential, wrapped, try seal(one.pair, of: credential, version: 1, key.secret))
    }
    return try await change(now: now) { change in
      guard change.view.header == header else {
        throw VaultError(.keyChanged, "the vault key was renewed while a credential was added")
      }
      // Credentials added by this very step count as present, but cannot be read before the step is signed.
      let own = Dictionary(prepared.map { ($0.0.name, $0.0.admin) }) { first, _ in first }
      for (name, admin) in own.sorted(by: { $0.key < $1.key }) where admin != name {
        try change.view.requireNoCycle(of: name, under: admin, adding: own)
      }
      let added = try prepared.map { credential, wrapped, sealed in
        guard try !change.view.hasCredential(credential.name) else {
          throw VaultError(.alreadyExists, "the vault has a credential \(Name.printable(credential.name)) already")
        }
        if own[credential.admin] == nil { try change.view.requireAdministrator(credential.admin) }
        try change.view.requirePartners(
          credential.policy.notTogetherWith.filter { own[$0] == nil }, of: credential.name)
        var credential = credential
        // What is given now is newer than any backup.
        credential.reconciled = try change.view.restoration()?.number ?? 0
        var known = change.view.exposed(by: change.view.administrators(of: credential, besides: own))
        if let exposedTo { known.insert(exposedTo) }
        for member in known.sorted() { credential.expose(to: member, now: now) }
        try change.storeKey(wrapped, of: credential.id)
        try change.storePair(sealed, of: credential)
        return try change.save(
          credential, .credentialAdded, ["provider": .string(credential.provider), "version": 1])
      }
      try body(change)
      return added
    }
  }

  /// A new key for a credential, and the key's ID.
  func credentialKey() throws -> (key: SharedSecret, id: String) {
    let key = try randomness.secret(VaultKey.size)
    let id = try VaultKey.id(ofCredentialKey: key)
    return (SharedSecret(key), id)
  }

  /// Runs `body`, and again up to eight times if a key was renewed while it ran: nothing was changed in that case.
  package nonisolated(nonsending) static func again<Result: Sendable>(
    _ body: nonisolated(nonsending) () async throws -> Result
  ) async throws -> Result {
    for _ in 0..<8 {
      do { return try await body() } catch let error as VaultError where error.code == .keyChanged { continue }
    }
    return try await body()
  }

  /// Replaces a credential's policy. Throws `notPermitted` unless the member can open the credential; `notFound` if the
  /// policy names a credential that does not exist and that it did not name before; `invalidInput` if it changes when a
  /// schedule rotates, or how long a new pair may be refused, and `Policy.requireReasonableInterval` or
  /// `requireReasonablePropagation` refuses the result.
  package func setPolicy(of name: String, now: Timestamp, _ edit: @Sendable (inout Policy) throws -> Void) async throws
    -> Credential
  {
    let member = member
    return try await change(now: now) { change in
      var credential = try change.view.credential(name)
      // A policy decides what a leak reaches, and when anything is replaced at all: that is for those who may do it.
      try change.view.requireKey(of: credential, for: member)
      let before = credential.policy
      try edit(&credential.policy)
      let policy = credential.policy
      if (policy.maxAge, policy.jitter) != (before.maxAge, before.jitter) { try policy.requireReasonableInterval() }
      if policy.propagation != before.propagation { try policy.requireReasonablePropagation() }
      let added = policy.notTogetherWith.filter { !before.notTogetherWith.contains($0) }
      try change.view.requirePartners(added, of: name)
      return try change.save(credential, .credentialPolicy, ["policy": credential.policy.json])
    }
  }
}
