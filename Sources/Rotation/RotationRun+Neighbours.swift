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
    guard provider.replacement == .overlap, seen.others.contains(where: isStranger) else { return seen }
    let (own, places) = (credential, provider.placeSettings)
    let others = try await runner.vault.read { view in
      // A damaged record is reported where that credential is asked for.
      try view.names().compactMap { try? view.credential($0) }
        .filter { $0.isBeside(own, by: places) && !$0.isTransferred }
    }
    var found: [NeighboursPair] = []
    var hasNew = !isAgain
    for other in others {
      for version in other.versions where version.stage != .retired {
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
              return now.versions.filter { $0.number == version.number && $0.stage != .retired }
            }, event: .pairUsed, ["purpose": "comparison"], now: timing.now())
          guard let pair = opened.first?.pair else { continue }
          found.append(NeighboursPair(credential: other, version: version, pair: pair))
          hasNew = true
        } catch let error as VaultError where error.isDamage || error.code == .notPermitted { continue }
      }
    }
    neighbours = found
    let isHidden = seen.others.contains { isStranger($0) && $0.sharesClientID && $0.clientSecret == nil }
    let theirs = found.filter { theirs in !pairs.values.contains { $0.isSame(as: theirs.pair) } }
    guard isHidden, hasNew, !theirs.isEmpty else { return seen }
    let known = theirs.reduce(knownPairs) { known, theirs in
      known.adding(KnownPairs.Known(theirs.pair, in: .previous, handle: theirs.version.handle))
    }
    do { return try await ask { try await self.provider.observe(known: known) } } catch let error as ProviderError {
      throw RotationError(error, while: "looking for what other credentials have there", name)
    }
  }

  func isStranger(_ other: ObservedPair) -> Bool {
    !isOurs(other) && !other.isOrphaned && other.place != .expired
  }

  /// The other credential's pair that `other` is; nil if it is ours, or if no opened pair matches.
  func neighbour(_ other: ObservedPair) -> NeighboursPair? {
    guard isStranger(other) else { return nil }
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

  /// Throws `outstanding` if version `number`, which is to be retired, is the active pair of another credential in the
  /// same place that the member can open. A leak ends it for both. Not with overlap, where one place may have the pairs
  /// of hundreds, and each would be opened for each.
  func requireInUseNowhere(_ number: UInt64) async throws {
    guard credential.leak == nil, provider.replacement == .promotion, provider.sharesPlaces, let pair = pairs[number]
    else { return }
    let names = try await runner.neighbours.names(beside: credential, by: provider.placeSettings, in: runner.vault)
    guard !names.isEmpty else { return }
    try await commit()
    let found = try await runner.vault.search(
      names, where: { $0.stage == .active }, purpose: "comparison", now: timing.now(), for: pair.isSame)
    guard let theirs = found.found.first else { return }
    throw RotationError(
      .outstanding,
      "\(name): version \(number), replaced, is the active pair of \(theirs.credential), too, and is not retired",
      hint: "let \(name) deliver to what uses \(theirs.credential) (`relatch sink add`), then"
        + " `relatch remove \(theirs.credential)`; if the pair leaked, `relatch revoke \(name)` ends it for both")
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

/// Which credentials have their pairs in one place, looked up once for all runs of a process.
package actor Neighbours {
  /// The names, by the kind of provider and the place.
  private var known: [String: [CredentialPlace: [String]]] = [:]

  package init() {}

  /// The other credentials in the place of `own` that were not handed over. What is damaged is left out.
  func names(beside own: Credential, by places: Set<String>?, in vault: UnlockedVault) async throws -> [String] {
    let kind = own.provider
    if known[kind] == nil {
      known[kind] = try await vault.read { view in
        let all = try view.credentialRecords().credentials.filter { $0.provider == kind && !$0.isTransferred }
        return Dictionary(grouping: all) { $0.place(by: places) }.mapValues { $0.map(\.name) }
      }
    }
    return known[kind]?[own.place(by: places)]?.filter { $0 != own.name } ?? []
  }
}

extension NeighboursPair {
  /// Which pair it is, for a person.
  fileprivate var text: String { "version \(version.number) of \(credential), \(standing) in this vault" }

  private var standing: String { version.stage == .previous ? "owed" : version.stage.rawValue }

  /// What to do so that `name` can be rotated.
  fileprivate func hint(for name: String) -> String {
    "give \(name) and \(credential) an app or client each, and let a program list only the pairs of one of them;"
      + " `relatch revoke \(name)` ends what leaked beside it"
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

  private static func place(_ value: String) -> String {
    var place = value.lowercased().filter { $0 != " " }[...]
    while place.last == "/" { place.removeLast() }
    return String(place.hasSuffix(":443") ? place.dropLast(4) : place)
  }
}
