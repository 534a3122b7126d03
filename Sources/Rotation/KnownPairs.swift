package import Audit
package import Vault

/// The pairs of one credential that the vault has and its provider may accept.
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
  /// Whether a new pair was requested and the outcome is unknown: a pair that the vault does not have may be that one.
  package let isStaging: Bool
  /// Whether the promotion of the staged pair was requested and the outcome is unknown.
  package let isPromoting: Bool
  /// Whether a leak of the credential is noted: what leaked must be ended, whatever else is in the way.
  package let hasLeak: Bool
  /// Whether that leak is being contained, so that for a while no pair may be accepted.
  package let isContaining: Bool
  /// Whether a person says that the primary pair is this credential's, though the vault does not have it.
  package private(set) var isAdopting = false
  /// A name unique to this credential of this vault, for what is made at the provider on its behalf. Not secret.
  package let mark: String
  /// The same for this rotation only: begins with `mark` and a hyphen. Two requests under one name are the same
  /// request.
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

  /// The same with one more pair, which the vault does not have.
  func adding(_ known: Known) -> KnownPairs {
    var more = self
    more.all.append(known)
    return more
  }

  /// The same where a person says that the primary pair is this credential's.
  package func adopting() -> KnownPairs {
    var adopting = self
    adopting.isAdopting = true
    return adopting
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
      // A restored vault reuses rotation numbers; the time tells them apart.
      attempt: "\(credential.rotation)-\(began?.milliseconds ?? 0)")
  }
}
