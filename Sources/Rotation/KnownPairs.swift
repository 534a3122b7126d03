package import Audit
package import Vault

/// The pairs of one credential that the vault has and that its provider may accept.
package struct KnownPairs: Sendable {
  package struct Known: Sendable {
    package let pair: Pair
    package let stage: Stage
    /// What the provider calls it, if it said so when it made it.
    package let handle: String?

    package init(_ pair: Pair, in stage: Stage, handle: String? = nil) {
      self.pair = pair
      self.stage = stage
      self.handle = handle
    }
  }

  /// In the order in which they were made.
  package private(set) var all: [Known]
  /// Whether a new pair was asked for and no outcome is known: one that the vault does not have may be it.
  package let isStaging: Bool
  /// Whether the staged one was asked to become primary and no outcome is known.
  package let isPromoting: Bool
  /// Whether a leak of it is noted: what leaked is to be ended, whatever else is in the way.
  package let hasLeak: Bool
  /// The same, and nothing may be accepted for a while.
  package let isContaining: Bool
  /// A name that is this credential's of this vault alone, for what is made at the provider on its behalf. Not secret.
  package let mark: String
  /// The same for this rotation alone: begins with `mark` and a hyphen. What is asked for under it twice is one thing.
  package let attempt: String

  package init(
    _ all: [Known], isStaging: Bool = false, isPromoting: Bool = false, hasLeak: Bool = false,
    isContaining: Bool = false, mark: String, attempt: String = "0"
  ) {
    self.all = all
    self.hasLeak = hasLeak
    self.isContaining = isContaining
    self.isStaging = isStaging
    self.isPromoting = isPromoting
    self.mark = mark
    self.attempt = "\(mark)-\(attempt)"
  }

  package var pairs: [Pair] { all.map(\.pair) }

  /// The same, of the same credential, with one more that the vault does not have.
  func adding(_ known: Known) -> KnownPairs {
    var more = self
    more.all.append(known)
    return more
  }

  /// The newest pair in `stage`; nil if there is none.
  package func newest(in stage: Stage) -> Known? { all.last { $0.stage == stage } }
}

extension KnownPairs {
  /// The opened `pairs` of `credential`, by version.
  package init(
    of credential: Credential, _ pairs: [UInt64: Pair], isStaging: Bool, isPromoting: Bool = false,
    isContaining: Bool = false, began: Timestamp? = nil
  ) {
    self.init(
      credential.versions.compactMap { version in
        pairs[version.number].map { Known($0, in: version.stage, handle: version.handle) }
      }, isStaging: isStaging, isPromoting: isPromoting, hasLeak: credential.leak != nil, isContaining: isContaining,
      mark: "relatch-\(credential.id)",
      // A restored vault counts its rotations again: the time tells them apart.
      attempt: "\(credential.rotation)-\(began?.milliseconds ?? 0)")
  }
}
