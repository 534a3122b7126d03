package import Audit
import JSON

/// A credential was handed over: from then on it is rotated elsewhere, and this vault only waits until its provider
/// refuses the pair.
package struct Transfer: Hashable, Sendable {
  package let handoff: Identifier
  /// The version that was sent, which was the active one: a debt until it is seen to be refused.
  package let version: UInt64
  package let since: Timestamp
  /// Until when the handoff may be opened.
  package let expires: Timestamp
  /// When its receipt was seen; nil before.
  package private(set) var confirmed: Timestamp?
  /// Since when the pair was refused every time it was tried; nil if it was accepted last, or never tried.
  package private(set) var refused: Timestamp?
  /// How often the pair was tried since it was sent or confirmed.
  package private(set) var attempts: UInt64 = 0
  /// When that was last; nil if never.
  package private(set) var tried: Timestamp?

  init(_ handoff: Handoff) {
    self.handoff = handoff.id
    version = handoff.version
    since = handoff.sent
    expires = handoff.expires
  }

  /// How long a pair must have been refused if nothing else shows that its provider does not refuse everybody.
  private static let certainty = Duration.seconds(3600)

  /// When the pair is to be tried next.
  package var due: Timestamp {
    tried.map { $0 + DeliveryRecord.pause(afterAttempts: Int(clamping: attempts)) } ?? confirmed ?? expires
  }

  /// From when on a refusal settles the debt if nothing else shows that its provider does not refuse everybody; nil if
  /// one at `now` does.
  package func settledFrom(now: Timestamp) -> Timestamp? {
    let moment = min(refused ?? now, now) + Self.certainty
    return now < moment ? moment : nil
  }

  /// The pair may be refused from now on, so it is tried at once.
  mutating func confirm(now: Timestamp) {
    confirmed = now
    (attempts, tried) = (0, nil)
  }

  /// Notes that the pair was tried. `isRefused` is nil if that did not show whether it is refused.
  package mutating func noteAttempt(isRefused: Bool?, now: Timestamp) {
    if attempts < .max { attempts += 1 }
    tried = now
    guard let isRefused else { return }
    // A moment that lies ahead was noted by a wrong clock.
    refused = isRefused ? min(refused ?? now, now) : nil
  }

  var json: JSONValue {
    var members: [String: JSONValue] = [
      "expires": .string(expires.description), "handoff": .string(handoff.description),
      "since": .string(since.description), "version": .integer(Int(clamping: version)),
    ]
    if let confirmed { members["confirmed"] = .string(confirmed.description) }
    if let tried {
      members["attempts"] = .integer(Int(clamping: attempts))
      members["tried"] = .string(tried.description)
    }
    if let refused { members["refused"] = .string(refused.description) }
    return .object(members)
  }

  init(_ json: JSONValue) throws {
    var members = try JSONMembers(of: json, "transfer")
    handoff = try members.identifier("handoff")
    version = UInt64(try members.count("version"))
    since = try members.timestamp("since")
    expires = try members.timestamp("expires")
    confirmed = try members.optionalString("confirmed") == nil ? nil : members.timestamp("confirmed")
    let attempts = try members.optionalCount("attempts")
    tried = try members.optionalString("tried") == nil ? nil : members.timestamp("tried")
    refused = try members.optionalString("refused") == nil ? nil : members.timestamp("refused")
    self.attempts = UInt64(attempts ?? 0)
    try members.finish()
    guard (attempts == nil) == (tried == nil), attempts != 0 else {
      throw VaultError(.corrupt, "a transfer whose attempts contradict each other")
    }
  }
}

extension Credential {
  /// Whether it was handed over, and is no longer rotated here.
  package var isTransferred: Bool { transfer != nil }

  /// Ends the version that was handed over: it was seen to be refused.
  package mutating func settleTransfer(now: Timestamp) {
    guard let transfer else { return }
    retireActive(transfer.version, now: now)
  }

  /// Whether the record agrees with itself: the version that was handed over is active, or it is retired, which takes a
  /// receipt, and no version is active.
  var hasSoundTransfer: Bool {
    guard let transfer else { return true }
    guard let version = version(transfer.version) else { return false }
    guard version.stage != .active else { return true }
    return version.stage == .retired && self.version(in: .active) == nil && transfer.confirmed != nil
  }

  /// Fails with `wrongState` if `version` leaked: the recipient would rely on a pair that is about to be ended.
  func requireNotLeaked(_ version: Version) throws {
    if let leak, version.number <= leak.version { throw HandoffError(leakOf: self) }
  }

  /// Fails with `wrongState` unless it can be handed over: nothing is staged, owed or under way.
  func requireTransferable() throws {
    guard transfer == nil else {
      throw HandoffError(.wrongState, "\(name) was handed over already", hint: "`relatch status \(name)` says when")
    }
    guard versions.allSatisfy({ $0.stage == .active || $0.stage == .retired }), ended == rotation else {
      throw HandoffError(
        .wrongState,
        "\(name) cannot be handed over while a pair of it is staged or owed, or a rotation is not finished",
        hint:
          "`relatch resume \(name)` and `relatch retire \(name)` settle it; `relatch status \(name)` says what is open")
    }
    guard leak == nil else { throw HandoffError(leakOf: self) }
    if let reach {
      throw HandoffError(
        .wrongState,
        "\(name) cannot be handed over while others can read its pair with a leaked one of \(reach.by.joined(separator: ", "))",
        hint: "`relatch resume` ends that leak first, and then replaces the pair of \(name)")
    }
    guard exposure == nil else {
      throw HandoffError(
        .wrongState, "\(name) is exposed: others than the sender know its active pair",
        hint: "`relatch rotate \(name)` and `relatch retire \(name)` first")
    }
  }
}

extension VaultView {
  /// Fails with `wrongState` if the vault was restored and `credential` was not compared with its provider since: the
  /// pair may be dead, and another, of which the vault knows nothing, alive.
  func requireReconciled(_ credential: Credential) throws {
    guard let restoration = try restoration(unreconciled: credential) else { return }
    throw HandoffError(
      .wrongState,
      "\(credential.name) cannot be handed over: the vault was restored from a backup whose log ends at"
        + " \(restoration.last), and it was not compared with its provider since",
      hint: "`relatch resume \(credential.name)` compares it; `relatch adopt` takes over another pair")
  }
}

extension HandoffError {
  fileprivate init(leakOf credential: Credential) {
    self.init(
      .wrongState,
      "\(credential.name) leaked, up to version \(credential.leak?.version ?? 0), and the leak is not ended",
      hint: "`relatch resume \(credential.name)` ends it; then its new pair can be sent")
  }
}
