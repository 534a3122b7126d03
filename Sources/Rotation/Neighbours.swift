package import Audit
import JSON
package import Sodium
package import Vault

/// Which credentials of a vault have one pair: compared once a process, for all its runs and commands.
///
/// A pair is opened for that with a log entry, once: then a code of it is kept, by a key that only this process has.
package actor Neighbours {
  /// Where pairs are, by a kind of provider and settings; nil for what is not compared.
  private let place: @Sendable (_ provider: String, _ settings: [String: String]) -> PairPlace?
  private let randomness: Randomness
  private var key: SharedSecret?
  private var codes: [Identifier: [UInt64: [UInt8]]] = [:]
  /// What could not be opened, because it is damaged: it is not compared.
  private var unopened: Set<Identifier> = []
  /// As of the first look. What is added or moved later is compared by the command that does it.
  private var directory: NeighbourDirectory?
  private var lastOpening: Task<Void, any Error>?

  package init(
    randomness: Randomness,
    place: @escaping @Sendable (_ provider: String, _ settings: [String: String]) -> PairPlace?
  ) {
    (self.randomness, self.place) = (randomness, place)
  }

  // MARK: - Codes

  private func secretKey() throws -> SharedSecret {
    if let key { return key }
    let new = SharedSecret(try randomness.secret(HMACSHA256.size))
    key = new
    return new
  }

  private static func code(of pair: Pair, by key: SharedSecret) -> [UInt8] {
    func code(_ part: borrowing SecretBytes, _ key: borrowing SecretBytes) -> [UInt8] {
      HMACSHA256.code(of: part.bytes, key: key.bytes)
    }
    return code(pair.clientID, key.secret) + code(pair.clientSecret, key.secret)
  }

  /// Keeps the code of a pair that was opened for another purpose, so that it is not opened for a comparison.
  package func note(_ pair: Pair, as version: UInt64, of id: Identifier) throws {
    guard codes[id]?[version] == nil else { return }
    codes[id, default: [:]][version] = Self.code(of: pair, by: try secretKey())
  }

  /// Opens the versions that `isMeant` of those of `all` that are not known, with an entry for each credential. One
  /// after another: those that come at the same time mostly ask for the same.
  private func open(
    _ all: [Neighbour], where isMeant: @escaping @Sendable (Version) -> Bool, in vault: UnlockedVault, now: Timestamp
  ) async throws {
    guard hasUnknown(all) else { return }
    let before = lastOpening
    let opening = Task {
      _ = await before?.result
      let unknown = all.filter(isUnknown)
      guard !unknown.isEmpty else { return }
      let key = try secretKey()
      let found = try await vault.search(unknown.map(\.name), where: isMeant, purpose: "comparison", now: now) {
        Self.code(of: $0, by: key)
      }
      for one in found { codes[one.credential.id, default: [:]][one.version.number] = one.value }
      unopened.formUnion(unknown.map(\.id).filter { codes[$0] == nil })
    }
    lastOpening = opening
    try await opening.value
  }

  private func isUnknown(_ neighbour: Neighbour) -> Bool {
    neighbour.isOpenable && codes[neighbour.id] == nil && !unopened.contains(neighbour.id)
  }

  /// Whether a comparison with `all` opens one.
  func hasUnknown(_ all: [Neighbour]) -> Bool { all.contains(where: isUnknown) }

  // MARK: - While a credential is rotated

  /// The others whose active pair can be that of `version` of `own` or, if that is nil, any. If `isOnly`, a client has
  /// one pair in use, and whatever names the same client counts.
  func beside(
    _ version: Version?, of own: Credential, isOnly: Bool, in vault: UnlockedVault
  ) async throws -> [Neighbour] {
    guard let place = place(own.provider, own.settings) else { return [] }
    if directory == nil {
      let (member, places) = (vault.member, self.place)
      directory = try await vault.read { try NeighbourDirectory($0, of: member, by: places) }
    }
    return directory?.beside([place]) { other, place in
      guard other.id != own.id, place.isCompared(with: other.place) else { return false }
      if isOnly, other.place.isSameClient(as: place) { return true }
      return version.map { other.mayRepeat($0, of: own, isActive: true) } ?? true
    } ?? []
  }

  /// The first of `all` whose active pair is `pair`, opened if it is not known, with the number of its version.
  func first(
    of all: [Neighbour], having pair: Pair, in vault: UnlockedVault, now: Timestamp
  ) async throws -> (credential: String, version: UInt64)? {
    try await open(all, where: { $0.stage == .active }, in: vault, now: now)
    let code = Self.code(of: pair, by: try secretKey())
    for one in all {
      for number in codes[one.id, default: [:]].filter({ $0.value == code }).keys {
        // Its own run may have replaced it since.
        let current = try await vault.read { try? $0.credential(one.name) }
        guard let current, current.id == one.id, !current.isTransferred,
          current.version(in: .active)?.number == number
        else { continue }
        return (one.name, number)
      }
    }
    return nil
  }

  /// The first of `all`, whose pairs the member may not open, that names the client of `own` and may have the pair of
  /// `version`.
  func unseen(of all: [Neighbour], beside version: Version, of own: Credential) -> Neighbour? {
    guard let place = place(own.provider, own.settings) else { return nil }
    return all.first { other in
      !other.isOpenable && other.place.isSameClient(as: place) && other.mayRepeat(version, of: own, isActive: true)
    }
  }

  // MARK: - Before a pair gets another name or place

  /// Pairs that are to be in a place, by their codes.
  private struct Claim: Sendable {
    let name: String
    let place: PairPlace
    /// The vault's record that has them already; nil if that is to be added.
    var record: Neighbour?
    var codes: [[UInt8]]
  }

  /// What `again` does over: since the comparison, somebody added or moved what may have one of the pairs.
  private struct ComparedTooEarly: Error {}

  /// Calls `body`, which makes a comparison and then, by its result, a change; and again as long as somebody else came
  /// between the two.
  package nonisolated(nonsending) static func again<Result: Sendable>(
    _ body: nonisolated(nonsending) () async throws -> Result
  ) async throws -> Result {
    while true {
      do { return try await body() } catch is ComparedTooEarly { continue }
    }
  }

  /// Fails with `invalidInput` if the pair of one of `all`, which are to be added, is also that of another of them, or
  /// of a version, not retired, of a credential that was not handed over, and a rotation of one could end it for the
  /// other.
  ///
  /// Only what may have one of the pairs by its settings is opened. A damaged one is not compared. Does nothing for a
  /// member who is no owner, and may not add credentials. The result is to be called in the change that adds them: it
  /// throws what `again` catches.
  package func requireNoneHas(
    _ all: [NewCredential], in vault: UnlockedVault, now: Timestamp
  ) async throws -> @Sendable (VaultView) throws -> Void {
    guard vault.member.card.role == .owner else { return { _ in } }
    let key = try secretKey()
    let claims = all.compactMap { one in
      place(one.provider, one.settings).map {
        Claim(name: one.name, place: $0, codes: [Self.code(of: one.pair, by: key)])
      }
    }
    try Self.requireDifferent(claims)
    let names = Set(all.map(\.name))
    let (size, others) = try await look(in: vault, for: claims) { other, place in
      !names.contains(other.name) && place.isCompared(with: other.place)
    }
    try await open(others, where: { $0.stage != .retired }, in: vault, now: now)
    try requireDifferent(claims, others)
    return requireNothingMoved(beside: claims, since: size)
  }

  /// The same for the versions, not retired, of the credential `name`, which is to have `settings` or, if they are nil,
  /// was handed over and is rotated here again.
  package func requireNoneHas(
    pairsOf name: String, with settings: [String: String]? = nil, in vault: UnlockedVault, now: Timestamp
  ) async throws -> @Sendable (VaultView) throws -> Void {
    let own = try await vault.read { try $0.credential(name) }
    guard vault.member.card.role == .owner, own.isTransferred == (settings == nil),
      let place = place(own.provider, settings ?? own.settings),
      settings == nil || place != self.place(own.provider, own.settings)
    else { return { _ in } }
    let itself = Neighbour(own, in: place, isOpenable: true)
    var claim = Claim(name: name, place: place, record: itself, codes: [])
    let (size, others) = try await look(in: vault, for: [claim]) { other, place in
      guard other.id != own.id, place.isCompared(with: other.place) else { return false }
      return other.place.isSameClient(as: place) || itself.versions.contains { other.mayRepeat($0, of: own) }
    }
    if !others.isEmpty {
      try await open([itself] + others, where: { $0.stage != .retired }, in: vault, now: now)
      claim.codes = Array(codes[own.id, default: [:]].values)
      try requireDifferent([claim], others)
    }
    return requireNothingMoved(beside: [claim], since: size)
  }

  /// The credentials that `isMeant`, and the size of the log as of this look.
  private func look(
    in vault: UnlockedVault, for claims: [Claim], where isMeant: (Neighbour, PairPlace) -> Bool
  ) async throws -> (size: UInt64, others: [Neighbour]) {
    let (member, places) = (vault.member, place)
    let (size, all) = try await vault.read { view in
      (view.logSize, try NeighbourDirectory(view, of: member, by: places))
    }
    return (size, all.beside(claims.map(\.place), where: isMeant))
  }

  /// Throws `ComparedTooEarly` in a change if the log, from `size` on, says that a credential with one of the names, or
  /// one that may have one of the pairs, was added, got other settings, or is rotated here again.
  private func requireNothingMoved(
    beside claims: [Claim], since size: UInt64
  ) -> @Sendable (VaultView) throws -> Void {
    let (names, claimed, places) = (Set(claims.map(\.name)), claims.map(\.place), place)
    let moves = Set([EventName.credentialAdded, .credentialRekeyed, .handoffWithdrawn].map(\.text))
    return { view in
      for index in size..<max(size, view.logSize) {
        let entry = try view.authenticatedEntry(at: index)
        guard moves.contains(entry.event), case .string(let name)? = entry.details["credential"] else { continue }
        let theirs = (try? view.credential(name)).flatMap { places($0.provider, $0.settings) }
        guard names.contains(name) || theirs.map({ theirs in claimed.contains { $0.mayShare(with: theirs) } }) ?? false
        else { continue }
        throw ComparedTooEarly()
      }
    }
  }

  /// Fails if two of `claims`, which are to be added together, have one pair.
  private static func requireDifferent(_ claims: [Claim]) throws {
    for same in Dictionary(grouping: claims, by: \.codes).values where same.count > 1 {
      for (index, one) in same.enumerated() {
        guard let other = same[..<index].first(where: { $0.place.mayShare(with: one.place) }) else { continue }
        throw VaultError(
          .invalidInput, "\(one.name) and \(other.name) have the same pair: \(harm(one, (other.name, other.place)))",
          hint: "keep one of them, and name each place that its pair goes to with `relatch sink add`")
      }
    }
  }

  /// Fails if one of `claims` has a pair of one of `others`, whose codes are known.
  private func requireDifferent(_ claims: [Claim], _ others: [Neighbour]) throws {
    var known: [[UInt8]: [(neighbour: Neighbour, version: UInt64)]] = [:]
    for other in others {
      for (version, code) in codes[other.id, default: [:]] { known[code, default: []].append((other, version)) }
    }
    for claim in claims {
      for code in claim.codes {
        let found = known[code]?.first { $0.neighbour.place.mayShare(with: claim.place) }
        guard let theirs = found?.neighbour, let version = found?.version else { continue }
        throw VaultError(
          .invalidInput,
          "\(claim.name): its pair is that of \(theirs.name), as version \(version), already:"
            + " \(Self.harm(claim, (theirs.name, theirs.place)))",
          hint: Self.hint(claim, theirs))
      }
    }
  }

  private static func harm(_ one: Claim, _ other: (name: String, place: PairPlace)) -> String {
    guard one.place.isRotated && other.place.isRotated else {
      let (rotated, used) = one.place.isRotated ? (one.name, other.name) : (other.name, one.name)
      return "a rotation of \(rotated) would end it for \(used)"
    }
    return "each would end it for the other"
  }

  /// What to do instead: one name can serve every use.
  private static func hint(_ one: Claim, _ theirs: Neighbour) -> String {
    let other = theirs.name
    if let record = one.record {
      // Nothing that this one owes may be lost with the other, and what cannot be rotated settles nothing.
      let noted =
        theirs.isLeaked && !record.isLeaked
        ? "`relatch revoke \(one.name) --reason TEXT` notes the leak for \(one.name), too; " : ""
      return noted + "let \(one.name) deliver to what uses \(other) (`relatch sink add \(one.name) …`), take \(other)"
        + " away (`relatch remove \(other)\(theirs.place.isRotated ? "" : " --forget-debts")`; the provider is asked"
        + " nothing, and \(one.name) has the pair), then run this again"
    }
    guard !theirs.place.isRotated else {
      return "use \(other): `relatch sink add \(other) …` delivers its pair to more places,"
        + " `relatch grant \(other) …` opens it to more members; or `relatch remove \(other)` first"
    }
    return "let one name serve both: `relatch settings \(other) …` gives \(other) what a rotation needs; or"
      + " `relatch remove \(other)`, and let \(one.name) deliver to what uses it: `relatch sink add \(one.name) …`"
  }
}
