import Providers
import Rotation
import Vault

extension [Errand] {
  /// The errands, each with those that it waits for, which come before it.
  ///
  /// What leaked, is exposed or is in `exposed` comes before what it administers, directly or through others: anyone who
  /// has an administrator's pair can read the pairs that are made while that is accepted. And credentials with their
  /// pairs in one place follow each other if one of them leaked: while a leak is ended, what another run has just made
  /// is a stranger's until it is saved.
  func ordered(in view: VaultView, exposed: Set<String> = []) -> [Errand] {
    // What cannot be read fails in its own run.
    let records = Dictionary(
      uniqueKeysWithValues: compactMap { errand in
        (try? view.credential(errand.name)).map { (errand.name, $0) }
      })
    let leaked = Set(filter { $0.goal.isRevocation || records[$0.name]?.isLeaked == true }.map(\.name))
    let known = leaked.union(exposed).union(records.values.filter { $0.exposure != nil }.map(\.name))
    guard !known.isEmpty else { return self }
    var errands = self
    for index in errands.indices {
      errands[index].after = Set(view.administrators(of: errands[index].name)).intersection(known)
        .intersection(records.keys)
    }
    let administering = Set(errands.flatMap(\.after))
    // None comes before an administrator of its own: that has fewer to wait for.
    let ranks = errands.enumerated().map { index, errand in
      (errand.after.count, administering.contains(errand.name) ? 0 : 1, index)
    }
    errands = ranks.sorted(by: <).map { errands[$0.2] }
    errands.follow(inPlacesOf: leaked, records)
    return errands
  }

  /// Lets each wait for the one before it with its pairs in the same place, where one of `leaked` has its own.
  private mutating func follow(inPlacesOf leaked: Set<String>, _ records: [String: Credential]) {
    func place(_ name: String) -> CredentialPlace? {
      guard let credential = records[name], let kind = try? providerKind(credential.provider), kind.sharesPlaces else {
        return nil
      }
      return credential.place(by: kind.placeSettings)
    }
    let places = Set(leaked.compactMap(place))
    var last: [CredentialPlace: String] = [:]
    for index in indices {
      guard let place = place(self[index].name), places.contains(place) else { continue }
      if let before = last.updateValue(self[index].name, forKey: place) { self[index].after.insert(before) }
    }
  }
}

extension Credential {
  /// Whether pairs of it are known to others, or can be read by those who have a leaked one of an administrator.
  fileprivate var isLeaked: Bool { leak != nil || reach != nil }
}

extension RotationRunner.Goal {
  fileprivate var isRevocation: Bool { if case .revoke = self { true } else { false } }
}
