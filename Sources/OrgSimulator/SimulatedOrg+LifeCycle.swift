import FoundationEssentials

/// The token endpoint's verdict on a key and a secret.
enum Standing: Equatable {
  case unknownKey
  case propagating(ConsumerPath)
  case wrongSecret(ConsumerPath)
  case accepted(ConsumerPath, isPrimary: Bool)
}

/// The life of pairs: staged, promoted, replaced, expired, deleted.
extension SimulatedOrg {
  /// Applies to a consumer what the passing of time has changed. Everything that looks at a consumer calls this first.
  mutating func settle(_ path: ConsumerPath) {
    let now = now
    self[path].lingering.removeAll { $0.until <= now }
    guard let slot = self[path].slot, slot.state != .expired, slot.expirationDate <= now else { return }
    switch readings.expiredSets {
    case .removed: self[path].slot = nil
    case .listed: self[path].slot?.state = .expired
    }
  }

  /// Puts a new pair into the slot; nil if the slot is taken.
  mutating func stage(_ path: ConsumerPath, by username: String) -> StagedSet? {
    settle(path)
    if let occupant = self[path].slot, occupant.state != .expired { return nil }
    let now = now
    var pair = issuePair(
      for: path, acceptedFrom: now.addingTimeInterval(readings.propagationSeconds),
      refusals: readings.propagationGrants)
    pair.isPoisoned = conditions.poisonsNextStagedPair
    conditions.poisonsNextStagedPair = false
    let set = StagedSet(
      id: OrgRandomness.identifier(prefix: "889"), pair: pair, state: .active, createdBy: username, createdDate: now,
      expirationDate: now.addingTimeInterval(Self.stagedLife))
    self[path].slot = set
    return set
  }

  /// Swaps the slot with the primary pair. `caller` is the access token that asked for it.
  mutating func promote(_ path: ConsumerPath, caller: String) {
    guard let staged = self[path].slot else { return }
    let now = now
    var promoted = staged.pair
    // A pair that the token endpoint did not know before promotion has its whole propagation still to come.
    if readings.promotionPropagates || (!readings.stagedPairGrants && staged.state == .active) {
      promoted.acceptedFrom = now.addingTimeInterval(readings.propagationSeconds)
      promoted.refusalsLeft = readings.propagationGrants
    }
    let replaced = self[path].primary
    self[path].primary = promoted
    self[path].slot = nil
    if readings.replacedPairLivesOn, let replaced {
      self[path].slot = StagedSet(
        id: readings.replacedID == .keepsStagedID ? staged.id : OrgRandomness.identifier(prefix: "889"),
        pair: replaced, state: .rotated, createdBy: staged.createdBy, createdDate: staged.createdDate,
        expirationDate: readings.tailStart == .rotation
          ? now.addingTimeInterval(Self.stagedLife) : staged.expirationDate)
    }
    self[path].formerStagedID = readings.stagedIDNamesPrimary ? staged.id : nil
    if readings.consumerIDChanges { self[path].id = OrgRandomness.identifier(prefix: "888") }
    switch readings.rotateEndsTokens {
    case .none: break
    case .consumer: tokens = tokens.filter { $0.value.path != path }
    case .caller: tokens[caller] = nil
    }
  }

  /// Removes the pair in the slot, and with it the pair's right to tokens.
  mutating func emptySlot(_ path: ConsumerPath) {
    guard let set = self[path].slot else { return }
    self[path].slot = nil
    forget(set.pair, of: path)
  }

  /// What a DELETE does if its id still names the pair in use.
  mutating func destroyPrimary(_ path: ConsumerPath) {
    guard let primary = self[path].primary else { return }
    self[path].primary = nil
    self[path].formerStagedID = nil
    forget(primary, of: path)
  }

  /// Judges a pair as the token endpoint does, without using up any refusal.
  mutating func standing(key: String, secret: String) -> Standing {
    guard let path = owners[key] else { return .unknownKey }
    settle(path)
    guard let (pair, isPrimary) = knownPair(key, at: path) else { return .unknownKey }
    if pair.acceptedFrom > now || pair.refusalsLeft > 0 { return .propagating(path) }
    guard pair.secret == secret, !pair.isPoisoned else { return .wrongSecret(path) }
    return .accepted(path, isPrimary: isPrimary)
  }

  /// Uses up one of the refusals that a new pair begins with.
  mutating func useUpRefusal(of key: String, at path: ConsumerPath) {
    if self[path].primary?.key == key {
      self[path].primary?.useUpRefusal()
    } else if self[path].slot?.pair.key == key {
      self[path].slot?.pair.useUpRefusal()
    }
  }

  private func knownPair(_ key: String, at path: ConsumerPath) -> (pair: IssuedPair, isPrimary: Bool)? {
    let consumer = self[path]
    if let primary = consumer.primary, primary.key == key { return (primary, true) }
    if let slot = consumer.slot, slot.pair.key == key {
      switch slot.state {
      case .active: return readings.stagedPairGrants ? (slot.pair, false) : nil
      case .rotated: return (slot.pair, false)
      case .expired: return nil
      }
    }
    return consumer.lingering.first { $0.pair.key == key }.map { ($0.pair, false) }
  }

  private mutating func forget(_ pair: IssuedPair, of path: ConsumerPath) {
    if readings.deleteDelay > 0 {
      self[path].lingering.append(LingeringPair(pair: pair, until: now.addingTimeInterval(readings.deleteDelay)))
    }
    if readings.deleteEndsTokens { tokens = tokens.filter { $0.value.clientID != pair.key } }
  }
}
