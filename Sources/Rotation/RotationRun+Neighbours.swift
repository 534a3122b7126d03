import JSON
import Sodium
import Vault

/// A pair of another credential of the vault, in the same place as this one's pairs: active there, staged or owed.
struct NeighboursPair: Sendable {
  let credential: String
  let version: Version
  let pair: Pair
  private let id: Identifier

  init(credential: Credential, version: Version, pair: Pair) {
    (self.credential, id) = (credential.name, credential.id)
    (self.version, self.pair) = (version, pair)
  }

  /// Whether it is the version `number` of `other`.
  func isVersion(_ number: UInt64, of other: Credential) -> Bool { id == other.id && version.number == number }

  /// Whether `other` is the provider's view of it. If no secret is shown, the provider's name for it distinguishes it
  /// from others of the same client.
  func isSeen(as other: ObservedPair) -> Bool {
    guard other.sharesClientID, other.clientSecret == nil else { return other.matches(pair) }
    return other.clientID.secret.isEqual(to: pair.clientID) && version.handle.map { $0 == other.handle } ?? false
  }
}

// Two credentials of a vault can have their pairs in one place where many are accepted alike, for example an
// application with a secret for each of its users. A pair there that is active in the other credential is no
// stranger's: it is in use, and no leak or adoption of this credential may end it or take it. One that is staged there
// is in use in a moment, and one that is owed may still be: the other credential's own run ends them.
//
// Only a pair that was opened and is the same counts. Protecting more, on the word of a record alone, would let anybody
// who can write a record keep what they made from being ended.
extension RotationRun {
  /// If `seen` has a pair that is none of ours, opens the pairs that other credentials have there and that the member
  /// may open, with a log entry for each. One that was opened before is not opened again.
  ///
  /// Returns `seen`, or another look: if only the secret shows whose a pair is, and it is not shown, the provider is
  /// asked again with the others' pairs as well. If `seen` is what a former call returned, which `isAgain` says, that is
  /// done only for a pair that was not known then.
  @discardableResult
  func seeNeighbours(beside seen: Observation, isAgain: Bool = false) async throws -> Observation {
    guard provider.replacement == .overlap, seen.others.contains(where: isForeign) else { return seen }
    let (own, places) = (credential, provider.placeSettings)
    let others = try await runner.vault.read { view in
      // A damaged record is reported where that credential is asked for.
      try view.names().compactMap { try? view.credential($0) }
        .filter { $0.isBeside(own, by: places) && !$0.isTransferred }
    }
    var found: [NeighboursPair] = []
    var hasNew = !isAgain
    for other in others {
      for version in other.livingVersions {
        if let known = neighbours.first(where: { $0.isVersion(version.number, of: other) }) {
          found.append(NeighboursPair(credential: other, version: version, pair: known.pair))
          continue
        }
        try await commit()
        do {
          let opened = try await runner.vault.pairs(
            of: other.name,
            choosing: { now in
              // Its own run may have promoted it since: it is the same pair.
              guard now.id == other.id else { return [] }
              return now.livingVersions.filter { $0.number == version.number }
            }, event: .pairUsed, ["purpose": "comparison"], now: timing.now())
          guard let pair = opened.first?.pair else { continue }
          found.append(NeighboursPair(credential: other, version: version, pair: pair))
          hasNew = true
        } catch let error as VaultError where error.isDamage || error.code == .notPermitted { continue }
      }
    }
    neighbours = found
    let isHidden = seen.others.contains { isForeign($0) && $0.sharesClientID && $0.clientSecret == nil }
    let theirs = found.filter { theirs in !pairs.values.contains { $0.isSame(as: theirs.pair) } }
    guard isHidden, hasNew, !theirs.isEmpty else { return seen }
    let known = theirs.reduce(knownPairs) { known, theirs in
      known.adding(KnownPairs.Known(theirs.pair, in: .previous, handle: theirs.version.handle))
    }
    do { return try await ask { try await self.provider.observe(known: known) } } catch let error as ProviderError {
      throw RotationError(error, while: "looking for what other credentials have there", name)
    }
  }

  func isForeign(_ other: ObservedPair) -> Bool {
    !isOurs(other) && !other.isOrphaned && other.place != .expired
  }

  /// The other credential's pair that `other` is; nil if it is ours, or if no opened pair matches.
  func neighbour(_ other: ObservedPair) -> NeighboursPair? {
    guard isForeign(other) else { return nil }
    return neighbours.first { $0.isSeen(as: other) }
  }

  /// What prevents staging a new pair, if it is another credential's.
  func obstacle(ofNeighbours left: [ObservedPair]) -> StagingObstacle? {
    for other in left {
      guard let theirs = neighbour(other) else { continue }
      return StagingObstacle(
        .foreignStagedPair, "\(theirs.text), is in the same place", hint: theirs.hint(for: name), until: other.expires)
    }
    return nil
  }

  /// Throws `outstanding` if version `number`, which is to be retired, is the active pair of another credential, as far
  /// as the member may know. A leak ends it for both.
  func requireInUseNowhere(_ number: UInt64) async throws {
    guard credential.leak == nil, let version = credential.version(number), let pair = pairs[number],
      let twin = try await twin(of: pair, as: version)
    else { return }
    throw RotationError(
      .outstanding, "\(name): version \(number), replaced, \(twin.text), and is not retired", hint: twin.hint(for: name)
    )
  }

  /// Throws `foreignStagedPair` if a pair that ends when a new one is made, of those in `seen` or the active one, is the
  /// active pair of another credential. Unless for a leak.
  func requireEndsNothingInUse(_ ending: [ObservedPair]) async throws {
    guard credential.leak == nil else { return }
    var numbers = ending.compactMap { other in pairs.first { other.matches($0.value) }?.key }
    if provider.endsActiveFirst { numbers.append(activeNumber) }
    for number in numbers {
      guard let version = credential.version(number), let pair = pairs[number],
        let twin = try await twin(of: pair, as: version)
      else { continue }
      throw RotationError(
        .foreignStagedPair, "\(name): version \(number) \(twin.text), and would end there as well",
        hint: twin.hint(for: name))
    }
  }

  /// Throws `held` if `pair`, which is to be adopted, is the active one of another credential.
  func requireNobodyHas(_ pair: Pair) async throws {
    guard let twin = try await twin(of: pair, as: nil), twin.isSeen else { return }
    throw RotationError(
      .held, "\(name): the pair to adopt \(twin.text): each credential would end it for the other",
      hint: "use \(twin.credential) instead")
  }

  /// The other credential whose active pair is `pair`, version `version` of this one, or nil if it is none yet. If the
  /// member may not open what names the same client, and that has only one pair in use, this has to do.
  private func twin(of pair: Pair, as version: Version?) async throws -> Twin? {
    let (all, vault) = (runner.neighbours, runner.vault)
    let isOnly = provider.replacement != .overlap
    let beside = try await all.beside(version, of: credential, isOnly: isOnly, in: vault)
    guard !beside.isEmpty else { return nil }
    // For the runs of the others, which look at this one.
    for (number, pair) in pairs { try await all.note(pair, as: number, of: credential.id) }
    if await all.hasUnknown(beside) { try await commit() }
    if let found = try await all.first(of: beside, having: pair, in: vault, now: timing.now()) {
      return Twin(credential: found.credential, isSeen: true)
    }
    guard isOnly, let version else { return nil }
    return await all.unseen(of: beside, beside: version, of: credential).map {
      Twin(credential: $0.name, isSeen: false)
    }
  }

  /// Throws `held` if `made`, which is to be adopted, is another credential's: each would end it for the other.
  func requireNoNeighbours(_ made: ObservedPair, beside seen: Observation) async throws {
    try await seeNeighbours(beside: seen)
    guard let theirs = neighbour(made) else { return }
    throw RotationError(
      .held, "\(name): the pair to adopt is \(theirs.text): each credential would end it for the other",
      hint: "use \(theirs.credential) instead")
  }
}

/// Another credential that has a pair of this one, or seems to.
private struct Twin {
  let credential: String
  /// Whether the pairs were compared. If not, both name one client, and the member may not open the other.
  let isSeen: Bool

  /// As a clause about the pair.
  var text: String {
    isSeen
      ? "is the active pair of \(credential), too"
      : "may be the active pair of \(credential), which names the same client and which you may not open"
  }

  func hint(for name: String) -> String {
    isSeen
      ? "let \(name) deliver to what uses \(credential) (`relatch sink add`), then `relatch remove \(credential)`;"
        + " if the pair leaked, `relatch revoke \(name) --reason TEXT` ends it for both"
      : "let somebody run it who may open both, as an owner: then the pairs are compared"
  }
}

extension NeighboursPair {
  /// Which pair it is, for a person.
  fileprivate var text: String { "version \(version.number) of \(credential), \(standing) in this vault" }

  private var standing: String { version.stage == .previous ? "owed" : version.stage.rawValue }

  /// What to do so that `name` can be rotated.
  fileprivate func hint(for name: String) -> String {
    "give \(name) and \(credential) an app or client each, and let a program list only the pairs of one of them;"
      + " `relatch revoke \(name) --reason TEXT` ends what leaked beside it"
  }
}

extension Credential {
  /// Whether it is another credential than `own` with its pairs in the same place.
  func isBeside(_ own: Credential, by places: Set<String>?) -> Bool {
    id != own.id && place(by: places) == own.place(by: places)
  }

  /// Where its pairs are: its kind of provider, with the values of the settings `places`, or of all settings if that is
  /// nil. Among `places`, what does not change an address makes no difference: capitals, blanks, a slash at the end, the
  /// port of `https`. This only decides which pairs are compared or wait for each other, never which are protected.
  package func place(by places: Set<String>?) -> CredentialPlace {
    CredentialPlace(provider: provider, settings: settings, by: places)
  }
}

/// Where a credential's pairs are.
package struct CredentialPlace: Hashable, Sendable {
  private let provider: String
  private let settings: [String: String]

  init(provider: String, settings: [String: String], by places: Set<String>?) {
    self.provider = provider
    self.settings =
      places.map { places in
        settings.filter { places.contains($0.key) }.mapValues(Self.place)
      } ?? settings
  }

  static func place(_ value: String) -> String {
    var place = value.lowercased().filter { $0 != " " }[...]
    while place.last == "/" { place.removeLast() }
    return String(place.hasSuffix(":443") ? place.dropLast(4) : place)
  }
}
