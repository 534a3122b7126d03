import Audit
import Rotation
import Sodium
import Vault

/// What a system shows of one credential if it accepts several secrets of a client equally and lists them.
struct ManySecrets<Listed> {
  /// The vault's active pair; if it is gone, the staged one; nil if neither is there.
  let primary: ObservedPair?
  /// The vault's other pairs that are there.
  let others: [ObservedPair]
  /// The listed secrets that are not the vault's.
  let left: [Listed]

  /// `place` returns the index of the listed secret that belongs to a pair of the vault's, `name` its handle there and
  /// when it ends.
  init(
    _ listed: [Listed], _ clientID: SharedSecret, _ known: KnownPairs,
    name: (Listed) -> (handle: String, expires: Timestamp?),
    place: (KnownPairs.Known, [Listed]) throws(ProviderError) -> Int?
  ) throws(ProviderError) {
    var left = listed
    var primary: ObservedPair?
    var others: [ObservedPair] = []
    // The pairs whose handle the vault knows are matched first, so that no other pair is taken for one of them.
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
