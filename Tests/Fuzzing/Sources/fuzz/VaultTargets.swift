import Age
import Audit
import Glibc
import JSON
import Sodium

@testable import Storage
@testable import Vault

let vaultTargets = [
  FuzzTarget("header", seeds: { [VaultHeader(id: id, created: start, keyID: id.description).bytes] }) { input in
    let header = try refusing { try VaultHeader(decoding: input) }
    require(header.bytes == input, "a header with a second spelling")
  },
  FuzzTarget("member", seeds: { [try member()] }) { input in
    let name = try nameOfCard(input)
    let member = try refusing { try Member(decoding: input, name: name) }
    require(member.bytes == input, "a member with a second spelling")
    _ = try? member.recipient()
  },
  FuzzTarget("credential", seeds: { try credentials().map(\.bytes) }) { input in
    let name = try nameOfCredential(input)
    var quick = CredentialReader()
    let plain = try? quick.plain(input.span, name)
    let full = try? Credential(readingInFull: input, name: name)
    require(plain == nil || plain == full, "a credential that the quick reader takes for another")
    let credential = try refusing { try Credential(decoding: input, name: name) }
    require(credential == full, "a credential that two readers disagree about")
    // A policy may leave out the usual values, and is written with them: nothing else has a second spelling.
    let again = try Credential(decoding: credential.bytes, name: name)
    require(again == credential && again.bytes == credential.bytes, "a credential that is another once it is written")
    require(credential.bytes.count >= input.count, "a credential with a shorter spelling")
    require(credential.version(in: .active) != nil || credential.isTransferred, "a credential without a pair")
    for occasion in HookSettings.Occasion.allCases { _ = credential.hooks(on: occasion) }
    _ = (credential.undelivered, credential.debts)
    // What was read can be changed further.
    var next = credential
    if next.version(in: .staged) == nil { _ = try next.addStaged(handle: nil, expires: nil, now: start) }
    try next.promoteStaged(now: start)
    next = credential
    // Only a confirmed transfer is ever settled.
    next.transfer?.confirm(now: start)
    next.settleTransfer(now: start)
    require((try? Credential(decoding: next.bytes, name: name)) == next, "a credential that settling damages")
  },
  FuzzTarget("handoff", seeds: { try handoffs() }) { input in
    let found = try HandoffDocument.decode(guarded(input))
    let again = try HandoffDocument.encode(found.handoff, found.pair, signature: found.signature)
    require(again.copy == input, "a handoff with a second spelling")
    let digest = try HandoffDocument.digest(found.handoff, found.pair)
    let statement = HandoffStatement.bytes(HandoffStatement.handoff, digest)
    if Fixed.identity.signingKey.verifyingKey.isValid(found.signature, of: statement) {
      require(try handoffs().contains(input), "a handoff that nobody signed")
    }
  },
  FuzzTarget("receipt", seeds: { [receipt, [1, 0, 0, 0, 1]] }) { input in
    guard let mode = input.first else { return }
    let bytes = mode == UInt8(ascii: "{") ? input : edited(receipt, by: input.dropFirst())
    let found = try HandoffReceipt(reading: bytes)
    require(bytes == receipt && found.signed(by: Fixed.identity.signingKey) == bytes, "a receipt that nobody signed")
  },
  FuzzTarget("delivery", seeds: { try credentials().flatMap(\.deliveries).map(\.json.canonicalBytes) }) { input in
    let record = try refusing { try DeliveryRecord(JSONValue(readingCanonical: input)) }
    require(record.json.canonicalBytes == input, "a delivery with a second spelling")
  },
  FuzzTarget("sealed-record", seeds: { [[0] + sealed, [1], [1, 0, 0, 0, 1]] }) { input in
    guard let mode = input.first else { return }
    let record = mode & 1 == 0 ? Array(input.dropFirst()) : edited(sealed, by: input.dropFirst())
    let found = try refusing {
      try Fixed.key.secret.withBytes { key in
        try SharedSecret(SealedRecord.open(record, key: key, purpose: purpose, vault: id))
      }
    }
    require(record == sealed && found.secret.copy == Fixed.secret, "a record that nobody sealed opens")
    for other in [SealedRecord.Purpose.pair(id, version: 2), .credentialKey(id)] {
      let opened = Fixed.key.secret.withBytes { key in
        (try? SharedSecret(SealedRecord.open(record, key: key, purpose: other, vault: id))) != nil
      }
      require(!opened, "a record opens in another's place")
    }
  },
  FuzzTarget("pair", seeds: { pairs }) { input in
    let pair = try Pair(reading: guarded(input))
    let document = try pair.document().copy
    require((try? JSONValue(readingCanonical: document)) != nil, "a pair that is not written canonically")
    let again = try Pair(reading: guarded(document))
    let isSame = again.clientID.isEqual(to: pair.clientID) && again.clientSecret.isEqual(to: pair.clientSecret)
    require(isSame, "a pair that is written otherwise than read")
  },
  FuzzTarget("policy", seeds: { policies }) { input in
    var policy = Policy()
    for line in String(decoding: input, as: UTF8.self).split(separator: "\n") {
      let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      if parts.count == 2 { try policy.set(parts[0], to: parts[1]) }
    }
    let texts = Dictionary(uniqueKeysWithValues: policy.texts.map { ($0.key, $0.value) })
    let again = try? Policy(texts)
    require(again == policy, "a policy that is written otherwise than read: \(texts)")
    require(again?.json.canonicalBytes == policy.json.canonicalBytes, "a policy with two texts")
    if let window = policy.window {
      require(RotationWindow(window.description) == window, "a window that is written otherwise than read")
      require(window.days.isSubset(of: 0..<7) && window.ends <= 1440 && window.begins < 1440, "an impossible window")
    }
  },
  FuzzTarget("names", seeds: { ["crm/prod", "a.b-c_d@e", "../x", "é"].map { Array($0.utf8) } }) { input in
    let text = String(decoding: input, as: UTF8.self)
    let printable = Name.printable(text)
    require(printable.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "a name that steers a terminal")
    if let identifier = Identifier(text) { require(identifier.description == text, "an identifier of two texts") }
    try Name.check(text, "name")
    let parts = input.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    require(LogEntry.isMember(text) && !parts.contains { [[], [0x2E], [0x2E, 0x2E]].contains($0) }, "a path upwards")
  },
  FuzzTarget("lease", seeds: { [UInt64(7).bigEndianBytes + start.milliseconds.bigEndianBytes + [0x68]] }) { input in
    let holder = try LeaseHolder(row: input, name: "x")
    let row = holder.fencing.bigEndianBytes + holder.expires.bigEndianBytes + Array(holder.holder.utf8)
    require(row == input, "a lease with a second spelling")
    let tables = Tables()
    tables.set(input, in: .leases, for: Array("x".utf8))
    let lease = try tables.acquireLease("x", holder: "me", now: holder.expires, milliseconds: .max) { _ in false }
    require(lease.fencing > holder.fencing, "a number that does not grow")
    try tables.renew(lease, now: .max, milliseconds: 1)
    try tables.release(lease)
  },
  FuzzTarget("remembered", seeds: { try remembered() }) { input in
    for path in [vaultFile, placeFile] { write(input, to: path) }
    let known = KnownVaults(in: folder)
    if let seen = try? known.log(of: id) { require(seen.bytes == input, "a log with a second spelling") }
    if let vault = try known.vault(at: place) { require(Array("\(vault) \(place)\n".utf8) == input, "another place") }
  },
]

private let start = Timestamp(milliseconds: 1_767_225_600_000)
private let id = Identifier(drawnFrom: Fixed.randomness("id"))
private let purpose = SealedRecord.Purpose.pair(id, version: 1)
private let sealed = made {
  try Fixed.key.secret.withBytes {
    try SealedRecord.seal(
      Fixed.secret.span.bytes, key: $0, purpose: purpose, vault: id, randomness: Fixed.randomness("nonce"))
  }
}
private let pairs = [
  #"{"client_id":"3MVG9","client_secret":"quote \" \\ é 漢 \u00e9\ud834\udd1e"}"#,
  #" { "client_secret" : "B7C1" , "client_id" : "3MVG9" } "#,
].map { Array($0.utf8) }
private let policies = [
  "max-age=90d\ngrace=24h\npropagation=10m\njitter=6h\nwindow=mon-fri 01:00-05:00 Europe/Kyiv\nnot-together-with=a,b",
  "max-age=none\nwindow=none\nnot-together-with=none", "window=sat,sun 22:00-02:00", "window=daily\ngrace=0s",
].map { Array($0.utf8) }

// On a file system in memory, if there is one: each input is written to it.
private let folder: String = {
  let base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
  let path = "\(base)/relatch-fuzz-\(getpid())"
  made { try PrivateFile.createFolder(path + "/at") }
  atexit(removeFolder)
  return path
}()
private let place = "/somewhere/vault"
private let vaultFile = "\(folder)/\(id)"
private let placeFile = "\(folder)/at/\(Array(SHA256.hash(Array(place.utf8)).bytes.prefix(16)).hex)"

private func removeFolder() {
  for path in [vaultFile, placeFile] { unlink(path) }
  for path in [folder + "/at", folder] { rmdir(path) }
}

private func remembered() throws -> [[UInt8]] {
  let checkpoint = try SignedCheckpoint(
    Checkpoint(origin: "relatch/\(id)", size: 3, root: SHA256.hash([])), key: Fixed.identity.signingKey)
  let card = try Fixed.identity.card(named: "alice", role: .owner)
  let membership = Membership(
    vault: id.description, keyID: id.description, standings: [Membership.Standing(card: card, entry: 0)])
  let seen = SeenLog(checkpoint: checkpoint, actor: "alice", membership: membership)
  let late = Membership(
    vault: id.description, keyID: id.description, standings: [Membership.Standing(card: card, entry: 1)],
    founder: Fixed.other.signingKey.verifyingKey, restored: 2)
  let seenLater = SeenLog(checkpoint: checkpoint, actor: "alice", membership: late)
  return [seen.bytes, seenLater.bytes, Array("\(id) \(place)\n".utf8)]
}

private func handoff(of credential: Credential? = nil, isTransfer: Bool) throws -> Handoff {
  let credential = try credential ?? credentials()[0]
  let card = HandoffCard(try Fixed.identity.card(named: "alice", role: .owner))
  return Handoff(
    of: credential.versions[0], credential, in: id, from: card, to: Fixed.other.age.recipient.description, id: id,
    answer: [UInt8](repeating: 7, count: Handoff.answerSize), sent: start, expires: start + .seconds(60),
    note: isTransfer ? nil : "a \" b", isTransfer: isTransfer)
}

/// Two signed handoffs, as plaintext, which is whatever the sender wrote.
private func handoffs() throws -> [[UInt8]] {
  try [false, true].map { isTransfer in
    let handoff = try handoff(isTransfer: isTransfer)
    let pair = try Pair(reading: guarded(Array(#"{"client_id":"3MVG9","client_secret":"quote \" é"}"#.utf8)))
    let statement = HandoffStatement.bytes(HandoffStatement.handoff, try HandoffDocument.digest(handoff, pair))
    return try HandoffDocument.encode(handoff, pair, signature: Fixed.identity.signingKey.sign(statement)).copy
  }
}

private let receipt: [UInt8] = made {
  let card = HandoffCard(try Fixed.identity.card(named: "alice", role: .owner))
  return HandoffReceipt(of: try handoff(isTransfer: false), by: card, in: id, opened: start)
    .signed(by: Fixed.identity.signingKey)
}

private func member() throws -> [UInt8] {
  Member(card: try Fixed.identity.card(named: "alice", role: .owner), entry: 7).bytes
}

/// Two credentials that together have everything a record can have.
private func credentials() throws -> [Credential] {
  var policy = Policy()
  for (key, value) in [("max-age", "90d"), ("window", "sat 22:00-02:00 Europe/Kyiv"), ("not-together-with", "a,b")] {
    try policy.set(key, to: value)
  }
  var plain = Credential(
    id: id, name: "crm/prod", provider: "external-client-app", settings: ["url": "https://crm.example"], policy: policy,
    admin: "admin", keyID: id.description, created: start)
  let first = plain
  _ = try plain.addStaged(handle: "889000000000001", expires: start + .seconds(60), now: start)
  try plain.promoteStaged(now: start)
  _ = try plain.addStaged(handle: nil, expires: nil, now: start)
  let file = FileSettings(path: "/etc/x", format: .dotenv(prefix: "CRM"), mode: 0o640)
  let template = FileSettings(path: "/etc/y", format: .template(path: "/etc/t"))
  let hook = HookSettings(occasion: .promoted, arguments: ["/bin/true", "a b"])
  try plain.addDelivery(DeliverySettings(name: "file", kind: .file(file)), entry: 3)
  try plain.addDelivery(DeliverySettings(name: "from", kind: .file(template)), entry: 4)
  try plain.addDelivery(DeliverySettings(name: "reload", kind: .hook(hook)), entry: 5)
  for delivery in plain.deliveries.dropFirst() { _ = plain.noteAttempt(at: delivery, now: start) }
  if let file = plain.deliveries.first { _ = plain.noteDelivered(2, to: file) }
  var transferred = first
  transferred.transfer = Transfer(try handoff(of: first, isTransfer: true))
  var tried = transferred
  tried.transfer?.confirm(now: start)
  tried.transfer?.noteAttempt(isRefused: true, now: start)
  return [first, plain, transferred, tried]
}

/// The name under which such a record would be stored.
private func nameOfCredential(_ record: [UInt8]) throws -> String {
  var members = try JSONMembers(of: JSONValue(reading: record), "record")
  return try members.string("name")
}

private func nameOfCard(_ record: [UInt8]) throws -> String {
  var members = try JSONMembers(of: JSONValue(reading: record), "member")
  var card = try JSONMembers(of: members.value("card"), "card")
  return try card.string("name")
}

/// Fails unless every error of `body` says that a record is damaged or of another format, and never that somebody typed
/// something wrong.
private func refusing<Value>(_ body: () throws -> Value) throws -> Value {
  do { return try body() } catch {
    let isRefusal =
      switch error {
      case let error as VaultError: error.code == .corrupt || error.code == .unsupportedFormat
      default: error is AuditError || error is JSONError
      }
    require(isRefusal, "a damaged record is answered with \(error)")
    throw error
  }
}
