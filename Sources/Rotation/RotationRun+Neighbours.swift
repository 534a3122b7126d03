import JSON
import Sodium
import Vault

/// A pair that another credential of the vault has at the place where this one's are: staged, active or replaced there.
struct NeighboursPair: Sendable {
  let credential: String
  let version: Version
  /// Nil where the member may not open that credential.
  let pair: Pair?

  /// Whether `other` is the provider's view of it. What cannot be compared is known by the name that the provider gave it.
  func isSeen(as other: ObservedPair) -> Bool {
    if let pair, !other.sharesClientID || other.clientSecret != nil { return other.matches(pair) }
    return version.handle.map { $0 == other.handle } ?? false
  }
}

// Two credentials of a vault can have their pairs in one place: an app with a secret for each consumer, a pair that was handed over twice.
// What is seen there and is the other's is no stranger's: it is in use, and no rotation, leak or adoption of this one may end or take it.
extension RotationRun {
  /// Reads what other credentials have there, if `seen` or `offered` is something that this one does not have. Each that the member may
  /// open is opened, with an entry that says so.
  func seeNeighbours(beside seen: Observation, _ offered: OfferedPair? = nil) async throws {
    let hasStranger = ([seen.primary] + seen.others).contains { !isOurs($0) && !$0.isLitter && $0.place != .expired }
    guard hasStranger || offered != nil else { return }
    try await commit()
    let (own, places) = (credential, provider.placeSettings)
    let others = try await runner.vault.read { view in
      // One whose record is damaged is told where it is asked for.
      try view.names().compactMap { try? view.credential($0) }.filter { $0.isBeside(own, by: places) }
    }
    guard !others.isEmpty else { return neighbours = [] }
    let found = try await runner.vault.search(others.map(\.name), purpose: "rotation", now: timing.now()) { _ in true }
    neighbours = others.flatMap { other in
      other.versions.filter { $0.stage != .retired }.map { version in
        NeighboursPair(
          credential: other.name, version: version,
          pair: found.found.first { $0.credential == other.name && $0.version.number == version.number }?.pair)
      }
    }
  }

  /// What `other` is of another credential; nil if it is one of ours, or nobody's that the vault knows.
  func neighbour(_ other: ObservedPair) -> NeighboursPair? {
    guard !isOurs(other), other.place != .expired, !other.isLitter else { return nil }
    return neighbours.first { $0.isSeen(as: other) }
  }

  /// What keeps a new pair from being staged, if it is another credential's.
  func obstacle(ofNeighbours seen: Observation, beside left: [ObservedPair]) -> StagingObstacle? {
    if let theirs = neighbour(seen.primary) {
      return StagingObstacle(
        .held, "the provider's primary pair is not version \(activeNumber), the active one, but \(theirs.text)",
        hint:
          "two credentials are in one place: use \(theirs.credential) in its stead; `relatch status` tells what is owed of each"
      )
    }
    for other in left {
      guard let theirs = neighbour(other) else { continue }
      return StagingObstacle(
        .foreignStagedPair, "\(theirs.text) holds the staging slot", hint: theirs.hint(for: name), until: other.expires)
    }
    return nil
  }

  /// Throws `held` if `offered`, or what is seen as `made`, is another credential's: each would end it under the other.
  func requireNoNeighbours(_ made: ObservedPair, beside seen: Observation, _ offered: OfferedPair?) async throws {
    try await seeNeighbours(beside: seen, offered)
    let theirs =
      neighbour(made)
      ?? offered.flatMap { offered in
        neighbours.first { theirs in
          guard let pair = theirs.pair, pair.clientID.isEqual(to: offered.pair.clientID) else { return false }
          return pair.clientSecret.isEqual(to: offered.pair.clientSecret)
        }
      }
    guard let theirs else { return }
    throw RotationError(
      .held, "\(name): what was to be adopted is \(theirs.text): each would end it under the other",
      hint: "use \(theirs.credential); `relatch remove \(name)` ends what is left of this one")
  }
}

extension NeighboursPair {
  /// Which it is, for a person.
  fileprivate var text: String {
    "version \(version.number) of \(credential), \(version.stage.rawValue) there, in this vault"
  }

  /// What lets the slot be free for `name`.
  fileprivate func hint(for name: String) -> String {
    switch version.stage {
    case .staged: "`relatch resume \(credential)` finishes its rotation, `relatch abort \(credential)` gives it up"
    case .previous: "`relatch retire \(credential)` ends it, and cuts off whoever still uses it"
    case .active, .retired:
      "\(name) and \(credential) are in one place: give each an app or client of its own, and let a program list the pairs of one alone;"
        + " where many are accepted alike, `relatch revoke \(name)` ends what leaked beside it"
    }
  }
}

extension Credential {
  /// Whether it is another than `own` whose pairs are where `own`'s are: of one kind of provider, with the same value in each of the
  /// settings `places`, or in all if that is nil.
  func isBeside(_ own: Credential, by places: Set<String>?) -> Bool {
    guard id != own.id, provider == own.provider else { return false }
    guard let places else { return settings == own.settings }
    return places.allSatisfy { settings[$0] == own.settings[$0] }
  }
}
