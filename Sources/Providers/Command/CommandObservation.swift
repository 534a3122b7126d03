import Rotation
import Sodium
import Vault

/// What a program listed, in the form that the engine expects.
struct CommandObservation {
  let observation: Observation

  private let known: KnownPairs
  private let listed: [CommandAnswer.Listed]

  /// Throws `malformed` if the list is not what `replacement` needs, and `configuration` if a new pair's secret could
  /// be lost or the system has none of the vault's pairs.
  init(
    _ listed: [CommandAnswer.Listed], _ known: KnownPairs, _ replacement: Replacement
  ) throws(ProviderError) {
    self.known = known
    self.listed = try Self.recognised(listed, known, replacement)
    switch replacement {
    case .overlap: observation = try Self.overlapping(self.listed, known)
    case .promotion: observation = try Self.promoting(self.listed, known)
    case .cutOver: observation = try Self.cuttingOver(self.listed, known)
    }
  }

  /// Recognises the vault's pairs among those listed. A pair shown with its secret is compared, whatever the program
  /// says of it. With overlap, where a pair keeps its handle, the vault's own handles identify the others. A program
  /// that contradicts them is refused, because a pair is deleted by its handle.
  private static func recognised(
    _ listed: [CommandAnswer.Listed], _ known: KnownPairs, _ replacement: Replacement
  ) throws(ProviderError) -> [CommandAnswer.Listed] {
    var all: [CommandAnswer.Listed] = []
    for one in listed {
      var one = one
      if let id = one.clientID, let secret = one.clientSecret {
        one.known = known.all.firstIndex { other in
          other.pair.clientID.isEqual(to: id.secret) && other.pair.clientSecret.isEqual(to: secret.secret)
        }
      } else if replacement == .overlap, let handle = one.handle,
        let named = known.all.firstIndex(where: { $0.handle == handle })
      {
        guard one.known == nil || one.known == named else {
          throw malformed("known and handle belong to different pairs")
        }
        one.known = named
      } else if replacement == .overlap, let handle = one.handle, let index = one.known,
        let ours = known.all[index].handle, ours != handle
      {
        throw malformed("known and handle belong to different pairs")
      }
      guard !all.contains(where: { $0.known != nil && $0.known == one.known }) else {
        throw malformed("a pair occurs twice")
      }
      guard !all.contains(where: { $0.handle != nil && $0.handle == one.handle }) else {
        throw malformed("a handle occurs twice")
      }
      all.append(one)
    }
    return all
  }

  private static func malformed(_ found: String) -> ProviderError {
    ProviderError(
      .malformed, "the program's answer to observe: \(found)", hint: "see docs/providers/command-contract.md")
  }

  /// The listed pair `one`, at `place`.
  private static func seen(
    _ one: CommandAnswer.Listed, _ place: ObservedPair.Place, _ known: KnownPairs, needsHandle: Bool = true
  ) throws(ProviderError) -> ObservedPair {
    guard !needsHandle || one.handle != nil else { throw malformed("a pair has no handle") }
    if let index = one.known {
      let pair = known.all[index].pair
      return ObservedPair(
        place: place, handle: one.handle ?? "", clientID: try SharedSecret(copying: pair.clientID),
        clientSecret: try SharedSecret(copying: pair.clientSecret), expires: one.expires, sharesClientID: true)
    }
    guard let id = one.clientID else { throw malformed("a pair has neither known nor client_id") }
    // Nobody else makes pairs under a key of this credential.
    let isMarked = place == .staged && one.key?.hasPrefix(known.mark + "-") == true
    return ObservedPair(
      place: place, handle: one.handle ?? "", clientID: id, clientSecret: one.clientSecret, expires: one.expires,
      sharesClientID: true, isMarked: isMarked)
  }

  private static func overlapping(
    _ listed: [CommandAnswer.Listed], _ known: KnownPairs
  ) throws(ProviderError) -> Observation {
    var primary: ObservedPair?
    var others: [ObservedPair] = []
    for one in listed {
      guard one.place == nil || one.place == .expired else {
        throw malformed("with overlap a pair's place must be absent or expired")
      }
      guard one.place == nil else {
        others.append(try seen(one, .expired, known))
        continue
      }
      switch one.known.map({ known.all[$0].stage }) {
      case .active?: primary = try seen(one, .primary, known)
      case .previous?, .retired?: others.append(try seen(one, .replaced, known))
      case .staged?, nil: others.append(try seen(one, .staged, known))
      }
    }
    // If the active pair is gone, the staged one counts as primary.
    if primary == nil {
      let staged = listed.first { $0.known.map { known.all[$0].stage } == .staged && $0.place == nil }
      if let staged, let index = others.firstIndex(where: { $0.handle == staged.handle }) {
        primary = others.remove(at: index)
      }
    }
    guard let primary else {
      throw ProviderError(
        .configuration, "the program says that the system has none of this credential's pairs",
        hint: "make one there, then take it over with `relatch adopt NAME --stdin`: the old one was deleted",
        step: .primary)
    }
    return Observation(consumer: known.attempt, primary: primary, others: others)
  }

  private static func promoting(
    _ listed: [CommandAnswer.Listed], _ known: KnownPairs
  ) throws(ProviderError) -> Observation {
    var primary: ObservedPair?
    var others: [ObservedPair] = []
    for one in listed {
      guard let place = one.place else { throw malformed("with promotion each pair must have a place") }
      if place == .primary {
        guard primary == nil else { throw malformed("two pairs are primary") }
        primary = try seen(one, .primary, known, needsHandle: false)
      } else {
        others.append(try seen(one, place, known))
      }
    }
    guard let primary else { throw malformed("no pair is primary") }
    return Observation(consumer: known.attempt, primary: primary, others: others)
  }

  private static func cuttingOver(
    _ listed: [CommandAnswer.Listed], _ known: KnownPairs
  ) throws(ProviderError) -> Observation {
    guard let any = known.newest(in: .active) ?? known.all.last else {
      throw ProviderError(.configuration, "there is no pair to ask the system with")
    }
    let current = listed.filter { $0.place == .primary }
    guard current.count == 1, listed.allSatisfy({ $0.place != nil && $0.place != .staged }) else {
      throw malformed("with cut-over one pair must be primary, and the others replaced or expired")
    }
    guard let secret = current[0].clientSecret else {
      throw ProviderError(
        .configuration,
        "the program does not show the primary pair's secret: a new secret ends the old one, and would"
          + " be lost if its answer were lost",
        hint: "with cut-over let the program read the secret again: see docs/providers/command-contract.md")
    }
    guard current[0].clientID.map({ $0.secret.isEqual(to: any.pair.clientID) }) ?? true else {
      throw malformed("with cut-over the client_id must stay the same")
    }
    var one = OneSecret(consumer: known.attempt, current: secret, expires: current[0].expires)
    if let old = listed.first(where: { $0.place == .replaced }) {
      let seen = try seen(old, .replaced, known)
      if let secret = seen.clientSecret { one.replaced = (secret, seen.handle, seen.expires) }
    }
    return try one.observation(known)
  }
}
