extension VaultView {
  /// The credentials that administer `name`, nearest first, without `name` itself. What cannot be read ends the chain.
  package func administrators(of name: String) -> [String] {
    var chain: [String] = []
    var next = name
    while let admin = (try? credential(next))?.admin, admin != name, !chain.contains(admin) {
      chain.append(admin)
      next = admin
    }
    return chain
  }

  /// Those of a credential that is not stored yet. `new` has the administrators of others that are not, by name.
  func administrators(of credential: Credential, besides new: [String: String]) -> [String] {
    var seen: Set<String> = []
    var next = credential.name
    while let admin = new[next], seen.insert(next).inserted { next = admin }
    return new[next] == nil ? [next] + administrators(of: next) : []
  }

  /// Everyone to whom one of `names` is exposed, as far as their records can be read.
  func exposed(by names: [String]) -> Set<String> {
    Set(names.flatMap { (try? credential($0))?.exposure?.to ?? [] })
  }
}
