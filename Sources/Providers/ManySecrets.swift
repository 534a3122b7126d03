import Audit
import Rotation
import Sodium
import Vault

/// What a system that accepts several secrets of a client alike, and lists them, shows of one credential.
struct ManySecrets<Listed> {
  /// The vault's active pair, or, with that gone, what is offered in its place; nil if neither is there.
  let primary: ObservedPair?
  /// The vault's others that are there.
  let others: [ObservedPair]
  /// What is listed and is none of the vault's.
  let left: [Listed]

  /// `place` says which of those listed is a pair of the vault's, and `name` how it is named there and when it ends.
  init(
    _ listed: [Listed], _ clientID: SharedSecret, _ known: KnownPairs,
    name: (Listed) -> (handle: String, expires: Timestamp?),
    place: (KnownPairs.Known, [Listed]) throws(ProviderError) -> Int?
  ) throws(ProviderError) {
    var left = listed
    var primary: ObservedPair?
    var others: [ObservedPair] = []
    // Those that the vault has a name for are set aside first, so that no other passes for one of them.
    for one in known.all.filter({ $0.handle != nil }) + known.all.filter({ $0.handle == nil }) {
      guard let index = try place(one, left) else { continue }
      let (handle, expires) = name(left.remove(at: index))
      let isActive = one.stage == .active
      let seen = ObservedPair(
        place: isActive ? .primary : one.stage == .staged ? .staged : .replaced, handle: handle, clientID: clientID,
        clientSecret: try SharedSecret(copying: one.pair.clientSecret), expires: expires, sharesClientID: true)
      if isActive { primary = seen } else { others.append(seen) }
    }
    if primary == nil, let index = others.lastIndex(where: { $0.place == .staged }) {
      primary = others.remove(at: index)
    }
    self.primary = primary
    self.others = others
    self.left = left
  }
}
