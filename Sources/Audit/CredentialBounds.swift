import JSON

/// From which log entry on the records about a credential count: owners have since taken back what came before.
///
/// A record that a member wrote names the owner's entry that it rests on. Older entries stay in the log forever, so
/// anyone who can write the store could put back an old record that names one. These bounds tell such records from
/// current ones. Their size grows with what was taken back one by one, not with the vault.
package struct CredentialBounds: Hashable, Sendable {
  /// What an entry changes here.
  package enum Change: Hashable, Sendable {
    /// `credential.added`: whether it binds the credential's terms.
    case added(String, bindsTerms: Bool)
    /// `credential.rekeyed`: whether every credential is rekeyed, after one `vault.rekeyed`.
    case rekeyed(String, withAll: Bool)
    /// `credential.removed`.
    case removed(String)
    /// `delivery.removed`.
    case deliveryRemoved(String, delivery: String)
    /// `handoff.sent` of a transfer: the handoff's identifier.
    case transferred(String, handoff: String)
    /// `handoff.withdrawn`.
    case withdrawn(String)
  }

  /// The newest `vault.rekeyed` after which every credential got a new key; nil if there was none.
  package private(set) var renewal: UInt64?
  /// Credential to the newest `credential.rekeyed` of only that credential, since that renewal.
  package private(set) var rekeyed: [String: UInt64]
  /// Credential to the newest `credential.removed`; or credential, a space and a delivery to the newest
  /// `delivery.removed`.
  package private(set) var removed: [String: UInt64]
  /// Credentials whose terms no entry binds: they were added before there were terms.
  package private(set) var unbound: Set<String>
  /// Credential to the handoff by which an owner transferred it, unless an owner has withdrawn it since.
  package private(set) var transferred: [String: String]

  package init(
    renewal: UInt64? = nil, rekeyed: [String: UInt64] = [:], removed: [String: UInt64] = [:],
    unbound: Set<String> = [], transferred: [String: String] = [:]
  ) {
    self.transferred = transferred
    self.renewal = renewal
    self.rekeyed = rekeyed
    self.removed = removed
    self.unbound = unbound
  }

  /// Whether the owner's entry `index`, on which the terms of `credential` rest, is the newest of its kind.
  package func allowsTerms(of credential: String, at index: UInt64) -> Bool {
    index >= rekeyed[credential] ?? 0 && removed[credential].map { index > $0 } ?? true
      && renewal.map { index > $0 } ?? true
  }

  /// Whether `delivery` of `credential`, which entry `index` added, has not been removed since.
  package func allowsDelivery(_ delivery: String, of credential: String, at index: UInt64) -> Bool {
    [credential, credential + " " + delivery].allSatisfy { name in removed[name].map { index > $0 } ?? true }
  }

  mutating func renewAll(at index: UInt64) {
    renewal = index
    rekeyed = [:]
  }

  mutating func apply(_ change: Change, at index: UInt64) {
    switch change {
    case .added(let name, let bindsTerms):
      if !bindsTerms { unbound.insert(name) }
    case .rekeyed(let name, let withAll):
      unbound.remove(name)
      rekeyed[name] = withAll ? nil : index
    case .removed(let name):
      unbound.remove(name)
      rekeyed[name] = nil
      transferred[name] = nil
      // Its deliveries went with it.
      removed = removed.filter { !$0.key.hasPrefix(name + " ") }
      removed[name] = index
    case .deliveryRemoved(let name, let delivery): removed[name + " " + delivery] = index
    case .transferred(let name, let handoff): transferred[name] = handoff
    case .withdrawn(let name): transferred[name] = nil
    }
  }
}

extension CredentialBounds.Change {
  init(_ entry: LogEntry) throws(AuditError) {
    let name = try entry.name("credential")
    switch entry.event {
    case "credential.added": self = .added(name, bindsTerms: entry.details["terms"] != nil)
    case "credential.rekeyed": self = .rekeyed(name, withAll: entry.details["with_all"] == .bool(true))
    case "credential.removed": self = .removed(name)
    case "handoff.withdrawn": self = .withdrawn(name)
    case "handoff.sent":
      self = .transferred(name, handoff: try entry.name("handoff"))
    default:
      self = .deliveryRemoved(name, delivery: try entry.name("delivery"))
    }
  }
}
