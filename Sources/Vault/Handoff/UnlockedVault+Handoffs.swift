import Age
package import Audit
import JSON
package import Sodium
import Storage

// Handing a pair to another vault, and taking one from there. vault/handoff.md.
extension UnlockedVault {
  /// Seals the version of `name` in `stage` to `recipient`, after an entry that says so is durable. With `isTransfer`,
  /// the credential is no longer rotated here.
  ///
  /// Throws `notFound`, `notPermitted`, `HandoffError.wrongState`.
  package func sendHandoff(
    of name: String, stage: Stage, to recipient: HandoffRecipient, expires: Timestamp, note: String?, isTransfer: Bool,
    now: Timestamp
  ) async throws -> (handoff: Handoff, file: [UInt8]) {
    if let note { try VisibleText.check(note, "the note") }
    guard !isTransfer || member.card.role == .owner else {
      throw VaultError(.notPermitted, "member \(member.name) is not an owner, and only owners hand a credential over")
    }
    let (id, answer) = (Identifier(drawnFrom: randomness), randomness.bytes(Handoff.answerSize))
    let (sender, vault) = (HandoffCard(member.card), header.id)
    let (handoff, opened) = try await pairs(
      of: name,
      choosing: { credential in
        if isTransfer { try credential.requireTransferable() }
        guard let version = credential.version(in: stage) else {
          throw VaultError(
            .notFound, "\(credential.name) has no \(stage.rawValue) version",
            hint: "`relatch show \(credential.name)` lists those it has")
        }
        try credential.requireNotLeaked(version)
        return [version]
      }, now: now
    ) { change, sealed in
      let credential = sealed.credential
      if isTransfer {
        try change.view.requireAdministersOnlyItself(credential)
        try change.view.requireReconciled(credential)
      }
      let handoff = Handoff(
        of: sealed.versions[0].version, credential, in: vault, from: sender, to: recipient.text, id: id, answer: answer,
        sent: change.now,
        expires: expires, note: note, isTransfer: isTransfer)
      try change.logSent(handoff, credential, to: recipient)
      return handoff
    }
    return (handoff, try seal(handoff, opened[0].pair, to: recipient))
  }

  private func seal(_ handoff: Handoff, _ pair: Pair, to recipient: HandoffRecipient) throws -> [UInt8] {
    let digest = try HandoffDocument.digest(handoff, pair)
    let signature = identity.signingKey.sign(HandoffStatement.bytes(HandoffStatement.handoff, digest))
    let document = try HandoffDocument.encode(handoff, pair, signature: signature)
    return try recipient.seal(document.bytes, randomness)
  }

  /// Opens a handoff file that is for this member; `sender` is the expected key, if there is one. Imports nothing.
  /// Throws `HandoffError`.
  package func openHandoff(_ file: RawSpan, from sender: VerifyingKey?) throws -> OpenedHandoff {
    try OpenedHandoff(file, by: identity, from: sender)
  }

  /// Imports what was opened as the credential `name`, administered by `admin` or by itself, and returns it with the
  /// receipt. If `settings` are given, they replace the sender's. `check` may refuse what is to be added, unless it was
  /// imported before or has expired, and so may what it returns, in the change that adds it.
  ///
  /// Throws `HandoffError.replayed` and `expired`, what `check` throws, `notPermitted` unless the member is an owner, and
  /// what `add` throws.
  package func importHandoff(
    _ opened: OpenedHandoff, as name: String, settings: [String: String]? = nil, admin: String, now: Timestamp,
    check: @Sendable (NewCredential) async throws -> @Sendable (VaultView) throws -> Void = { _ in { _ in } }
  ) async throws -> (credential: Credential, receipt: [UInt8]) {
    let handoff = opened.handoff
    // Replayed before the transaction, because others wait for that.
    let (size, before) = try await read { ($0.logSize, try $0.entries(about: handoff.id)) }
    try before.requireNotOpened()
    try opened.requireFresh(now)
    let one = NewCredential(
      name: name, provider: handoff.provider, settings: settings ?? handoff.settings, policy: handoff.importedPolicy,
      admin: admin, pair: opened.pair, made: min(handoff.created, now))
    do {
      let requireStill = try await check(one)
      let credential = try await add(
        one, exposedTo: handoff.isTransfer ? "vault/\(handoff.vault)" : nil, now: now
      ) { change in
        try requireStill(change.view)
        try change.view.entries(about: handoff.id, from: size).requireNotOpened()
        try change.logOpened(handoff, as: name)
      }
      return (credential, receipt(of: handoff, opened: now))
    } catch let error as VaultError where [.alreadyExists, .invalidInput].contains(error.code) {
      // Another run may have imported the same handoff at this moment, under this name or another.
      try await read { try $0.entries(about: handoff.id, from: size) }.requireNotOpened()
      throw error
    }
  }

  /// Makes the receipt of a handoff that was imported before, again. Throws `HandoffError.unknown` if it was not
  /// imported.
  package func handoffReceipt(_ opened: OpenedHandoff) async throws -> [UInt8] {
    let id = opened.handoff.id
    let entries = try await read { try $0.entries(about: id) }
    guard let entry = entries.first(where: { $0.isEvent(.handoffOpened) }) else {
      throw HandoffError(
        .unknown, "the handoff was not opened in this vault", hint: "`relatch handoff open FILE` imports it")
    }
    return receipt(of: opened.handoff, opened: entry.time)
  }

  private func receipt(of handoff: Handoff, opened: Timestamp) -> [UInt8] {
    HandoffReceipt(of: handoff, by: HandoffCard(member.card), in: header.id, opened: opened).signed(
      by: identity.signingKey)
  }

  /// What a receipt showed.
  package struct HandoffConfirmation: Sendable {
    /// The credential's name when it was sent.
    package let credential: String
    package let isTransfer: Bool
    /// Whether the pair is owed because of it; false if the transfer was taken back, or its credential was removed.
    package let isOwed: Bool
    /// Whether it was recorded now; false if it had been recorded before.
    package let isNew: Bool
    /// Other vaults that gave a receipt for the same handoff.
    package let otherVaults: [String]
  }

  /// Records that a handoff of this vault arrived. Throws `HandoffError`, also if the receipt is for another handoff,
  /// or by somebody other than its recipient.
  package func confirmHandoff(_ receipt: HandoffReceipt, now: Timestamp) async throws -> HandoffConfirmation {
    guard receipt.vault == header.id else {
      throw HandoffError(
        .unknown, "the receipt is for vault \(receipt.vault), this one is \(header.id)",
        hint: "confirm it in the vault that sent the handoff: --vault DIR")
    }
    let (size, before) = try await read { ($0.logSize, try $0.entries(about: receipt.handoff)) }
    guard let sent = before.first(where: { $0.isEvent(.handoffSent) }), let name = sent.credential else {
      throw HandoffError(
        .unknown, "this vault's log has no handoff \(receipt.handoff)",
        hint: "`relatch log list` has what was sent; was the vault restored from a backup?")
    }
    try receipt.requireAnswer(to: sent)
    let isTransfer = sent.details["transfer"] == true
    let vault = JSONValue.string(receipt.openerVault.description)
    return try await change(now: now) { change in
      let entries = before + (try change.view.entries(about: receipt.handoff, from: size))
      let vaults = entries.filter { $0.isEvent(.handoffConfirmed) }.compactMap { $0.details["opener_vault"] }
      let isNew = !vaults.contains(vault)
      // If its record is damaged, nobody knows.
      let isOwed = (try? change.view.credential(name))?.transfer?.handoff == receipt.handoff
      if isNew { try change.logConfirmed(receipt, of: name) }
      let others: [String] = vaults.compactMap { other in
        if case .string(let text) = other, other != vault { text } else { nil }
      }
      return HandoffConfirmation(
        credential: name, isTransfer: isTransfer, isOwed: isOwed, isNew: isNew, otherVaults: others)
    }
  }

  /// Who confirmed that they opened version `version` of `name`, by whatever transfer, by name: they may have replaced
  /// the pair. The time this takes grows with the log.
  package func openers(of name: String, version: UInt64) async throws -> [String] {
    try await read { view in
      var sent: Set<String> = []
      var openers: Set<String> = []
      try view.replay { entry, _ in
        if entry.says("credential", name) {
          if entry.event == EventName.credentialAdded.text { (sent, openers) = ([], []) }
          if entry.isEvent(.handoffSent), entry.details["transfer"] == true, entry.versions.contains(version),
            let handoff = entry.text("handoff")
          {
            sent.insert(handoff)
          }
        }
        if entry.isEvent(.handoffConfirmed), let handoff = entry.text("handoff"),
          sent.contains(handoff), case .object(let opener)? = entry.details["opener"],
          case .string(let who)? = opener["name"]
        {
          openers.insert(who)
        }
      }
      return openers.sorted()
    }
  }

  /// Takes a transfer back: the credential is rotated here again. Throws `notPermitted` unless the member is an owner,
  /// `HandoffError`: `unknown` if it was not handed over, `wrongState` if its receipt was confirmed; and what `check`
  /// throws, in the same step.
  package func withdrawHandoff(
    of name: String, now: Timestamp, unless check: @Sendable (VaultView) throws -> Void = { _ in }
  ) async throws -> Credential {
    guard member.card.role == .owner else {
      throw VaultError(.notPermitted, "member \(member.name) is not an owner, and only owners take a transfer back")
    }
    return try await change(now: now) { change in
      var credential = try change.view.credential(name)
      guard let transfer = credential.transfer else {
        throw HandoffError(
          .unknown, "\(name) was not handed over", hint: "`relatch status \(name)` shows where it stands")
      }
      guard transfer.confirmed == nil else {
        throw HandoffError(
          .wrongState, "\(name) is in another vault: its receipt was confirmed",
          hint: "ask the recipient to hand it back: `relatch handoff send … --transfer` there")
      }
      try check(change.view)
      credential.transfer = nil
      return try change.save(
        credential, .handoffWithdrawn, ["handoff": .string(transfer.handoff.description)])
    }
  }
}

extension VaultChange {
  fileprivate func logSent(_ handoff: Handoff, _ credential: Credential, to recipient: HandoffRecipient) throws {
    var fields: [String: JSONValue] = [
      "answer": .string(SHA256.hash(handoff.answer).bytes.base64), "digest": .string(handoff.digest),
      "expires": .string(handoff.expires.description), "handoff": .string(handoff.id.description),
      "recipient": .string(handoff.recipient), "versions": .array([.integer(Int(clamping: handoff.version))]),
    ]
    if let name = recipient.name { fields["recipient_name"] = .string(name) }
    if let signing = recipient.signing { fields["signing"] = .string(signing.bytes.base64) }
    guard handoff.isTransfer else {
      try log(.handoffSent, about: credential.name, fields)
      return
    }
    fields["transfer"] = true
    var credential = credential
    credential.transfer = Transfer(handoff)
    try save(credential, .handoffSent, fields)
  }

  fileprivate func logOpened(_ handoff: Handoff, as name: String) throws {
    var fields: [String: JSONValue] = [
      "digest": .string(handoff.digest), "handoff": .string(handoff.id.description), "sender": handoff.sender.json,
      "sender_credential": .string(handoff.credential), "sender_vault": .string(handoff.vault.description),
      "version": .integer(Int(clamping: handoff.version)),
    ]
    if handoff.isTransfer { fields["transfer"] = true }
    try log(.handoffOpened, about: name, fields)
  }

  fileprivate func logConfirmed(_ receipt: HandoffReceipt, of name: String) throws {
    let fields: [String: JSONValue] = [
      "handoff": .string(receipt.handoff.description), "opened": .string(receipt.opened.description),
      "opener": receipt.opener.json, "opener_vault": .string(receipt.openerVault.description),
    ]
    // A receipt for a damaged one is recorded all the same.
    if try view.hasCredential(name), var credential = try view.readable([name])[name] {
      if credential.transfer?.handoff == receipt.handoff, credential.transfer?.confirmed == nil {
        credential.transfer?.confirm(now: now)
        try save(credential, .handoffConfirmed, fields)
        return
      }
    }
    try log(.handoffConfirmed, about: name, fields)
  }
}
