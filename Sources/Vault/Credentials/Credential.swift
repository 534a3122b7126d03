package import Audit
import JSON

/// A named thing to be rotated: provider, settings, policy and versions. Public metadata; the pairs are elsewhere,
/// sealed.
///
/// Authenticated by its digest in the log entry it names.
package struct Credential: Hashable, Sendable {
  package static let format = 1

  package let id: Identifier
  package let name: String
  package let provider: String
  package var settings: [String: String]
  package var policy: Policy
  /// The credential whose token drives the rotation; its own name if it drives its own.
  package internal(set) var admin: String
  /// Identifies the credential's key without revealing it, so that somebody who can write a grant cannot pass off
  /// another key as this one.
  package internal(set) var keyID: String
  package let created: Timestamp
  /// The owner's entry that binds its terms: the one that added it, or gave it its key. Nil if there were no terms yet.
  package internal(set) var keyed: UInt64?
  /// Ascending by number. Numbers begin at 1 and are never used again.
  package private(set) var versions: [Version]
  /// The number of the newest rotation; 0 before the first.
  package var rotation: UInt64
  /// How many steps of that rotation are journalled: a journal that was cut off has fewer.
  package private(set) var steps: UInt32
  /// The number of the newest rotation that has ended; 0 if none is known to have ended. Any schedule continues one
  /// that has begun and not ended.
  package private(set) var ended: UInt64
  /// Until when the newest rotation leaves the replaced pair alone; nil if it is not doing that now, or nobody knows.
  package private(set) var graceEnds: Timestamp?
  /// The number of the newest restore of the vault after which the credential was seen to agree with its provider; 0 if
  /// there was none.
  package var reconciled: UInt64
  /// Where its promoted pair goes, in the order of adding. See `Credential+Deliveries.swift`.
  package internal(set) var deliveries: [DeliveryRecord]
  /// Who could open its pairs and no longer may, while that still matters. See `Exposure`.
  package internal(set) var exposure: Exposure?
  /// The leak by which others know some of its pairs, while that still matters. See `Leak`.
  package internal(set) var leak: Leak?
  /// The versions that were made at a former place and not seen at the present one. See `Credential+Elsewhere.swift`.
  package internal(set) var elsewhere: Set<UInt64>
  /// The administrators by whose leaked pairs what was made for it can be read, while that still matters. See `Reach`.
  package internal(set) var reach: Reach?
  /// Its transfer to another vault; nil if it was not handed over. See `Transfer`.
  package var transfer: Transfer?
  /// The newest log entry that carries this record's digest.
  package var entry: UInt64

  /// `made` is when the provider made the first pair; if nobody knows, it counts as made when it was added.
  package init(
    id: Identifier, name: String, provider: String, settings: [String: String], policy: Policy, admin: String,
    keyID: String, created: Timestamp, made: Timestamp? = nil
  ) {
    self.id = id
    self.name = name
    self.provider = provider
    self.settings = settings
    self.policy = policy
    self.admin = admin
    self.keyID = keyID
    self.created = created
    versions = [Version(number: 1, stage: .active, created: made ?? created, since: created)]
    rotation = 0
    steps = 0
    ended = 0
    reconciled = 0
    deliveries = []
    elsewhere = []
    exposure = nil
    leak = nil
    reach = nil
    transfer = nil
    keyed = nil
    entry = 0
  }

  /// A stored one, with versions that do not contradict each other.
  init(
    id: Identifier, name: String, provider: String, settings: [String: String], policy: Policy, admin: String,
    keyID: String, created: Timestamp, versions: [Version], rotation: UInt64, steps: UInt32, ended: UInt64,
    graceEnds: Timestamp?
  ) {
    self.init(
      id: id, name: name, provider: provider, settings: settings, policy: policy, admin: admin, keyID: keyID,
      created: created)
    self.versions = versions
    self.rotation = rotation
    self.steps = steps
    self.ended = ended
    self.graceEnds = graceEnds
  }

  /// The greatest number of a version or a rotation: one each second for 68 years. Rotating never gets that far. A
  /// record with a greater number is refused, and one that has reached this number is not continued.
  package static let maximumNumber: UInt64 = 1 << 31

  /// Throws `corrupt` unless another rotation can begin and what it stages can be saved.
  package func requireNextNumber() throws(VaultError) {
    guard newestNumber < Self.maximumNumber, rotation < Self.maximumNumber else {
      throw VaultError(
        .corrupt,
        "\(name) has version \(newestNumber) and rotation \(rotation): no credential can have been rotated so often",
        hint: "`relatch log list` says who wrote that; add the credential again, under another name")
    }
  }

  /// The greatest size of a setting's value in bytes.
  package static let maximumSettingSize = 4096

  /// Fails unless a credential can have these: names that `Name` allows, and values that are fit for a terminal and a
  /// log.
  package static func check(name: String, provider: String, settings: [String: String]) throws(VaultError) {
    try Name.check(name, "credential name")
    try Name.check(provider, "provider")
    for (key, value) in settings {
      try Name.check(key, "setting")
      guard value.utf8.count <= maximumSettingSize,
        value.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
      else {
        throw VaultError(
          .invalidInput, "setting \(key): expected at most \(maximumSettingSize) bytes without control characters")
      }
    }
  }

  /// Whether its own token drives its rotation.
  package var isSelfAdministered: Bool { admin == name }

  /// The newest version in `stage`, or nil.
  package func version(in stage: Stage) -> Version? { versions.last { $0.stage == stage } }

  /// The number of the newest version, whatever its stage.
  package var newestNumber: UInt64 { versions.last?.number ?? 0 }

  /// The version `number`, or nil.
  package func version(_ number: UInt64) -> Version? { versions.first { $0.number == number } }

  /// The pairs that must be refused by the provider and have not been seen to be.
  package var debts: [Version] {
    versions.filter { $0.stage == .previous || $0.stage == .active && $0.number == transfer?.version }
  }

  /// The debt that the active version has replaced; nil if there is none. One with a greater number was given up before
  /// that.
  package var replaced: Version? { debts.max { ($0.since, $1.number) < ($1.since, $0.number) } }

  /// Adds a staged version and returns its number. Throws if one is staged already. `made` is when the provider made
  /// it, if that was before `now`.
  package mutating func addStaged(
    handle: String?, expires: Timestamp?, made: Timestamp? = nil, now: Timestamp
  ) throws(VaultError) -> UInt64 {
    guard version(in: .staged) == nil else {
      throw VaultError(.alreadyExists, "\(name) has a staged version already")
    }
    let number = newestNumber + 1
    versions.append(
      Version(
        number: number, stage: .staged, created: min(made ?? now, now), since: now, handle: handle, expires: expires))
    limitLeakToNewestVersion()
    return number
  }

  /// Makes the staged version active, and the active one previous. `stillEnds` says that the provider ends a primary
  /// pair automatically as it does a staged one; otherwise its end is forgotten. The version counts as made at `now` at
  /// the latest, even if a clock that was ahead said otherwise, or a schedule would replace it too late.
  package mutating func promoteStaged(stillEnds: Bool = false, now: Timestamp) throws(VaultError) {
    guard let staged = versions.firstIndex(where: { $0.stage == .staged }) else {
      throw VaultError(.notFound, "\(name) has no staged version to promote")
    }
    for index in versions.indices where versions[index].stage == .active { versions[index].enter(.previous, now: now) }
    versions[staged].enter(.active, now: now)
    versions[staged].created = min(versions[staged].created, now)
    if let exposure, versions[staged].number > exposure.version { self.exposure = nil }
    if !stillEnds { versions[staged].expires = nil }
  }

  /// Counts `step` of the newest rotation, which is the next one: 0 begins a rotation. Throws `alreadyExists`
  /// otherwise.
  mutating func count(step: UInt32) throws(VaultError) {
    try requireNext(step: step)
    steps = step + 1
  }

  /// Throws `alreadyExists` unless `step` of the newest rotation is the next one.
  package func requireNext(step: UInt32) throws(VaultError) {
    guard step == 0 || step == steps, step < .max else {
      throw VaultError(
        .alreadyExists, "\(name) has journalled \(steps) steps of rotation \(rotation), step \(step) is not next")
    }
  }

  /// Notes how far the newest rotation is: whether it has ended, and until when it leaves the replaced pair alone, if
  /// it is doing that now.
  package mutating func noteRotation(hasEnded: Bool, graceEnds: Timestamp?) {
    if hasEnded { ended = rotation }
    self.graceEnds = hasEnded ? nil : graceEnds
  }

  /// Ends version `number`: it was seen to be refused, or it was never in use and is gone. Throws `notFound` if it is
  /// the active one, or has already ended.
  package mutating func retire(_ number: UInt64, now: Timestamp) throws(VaultError) {
    guard
      let index = versions.firstIndex(where: { $0.number == number && ($0.stage == .staged || $0.stage == .previous) })
    else {
      throw VaultError(.notFound, "\(name) has no version \(number) that could be retired")
    }
    versions[index].enter(.retired, now: now)
    endLeakIfOver()
  }

  /// Makes the staged version a debt: it leaked and was given up, and must be seen to be refused. Throws `notFound` if
  /// there is none.
  package mutating func oweStaged(now: Timestamp) throws(VaultError) {
    guard let staged = versions.firstIndex(where: { $0.stage == .staged }) else {
      throw VaultError(.notFound, "\(name) has no staged version that could be owed")
    }
    versions[staged].enter(.previous, now: now)
  }

  /// Ends the active version, which is `number`, for good: the credential now belongs to another vault.
  mutating func retireActive(_ number: UInt64, now: Timestamp) {
    for index in versions.indices where versions[index].number == number && versions[index].stage == .active {
      versions[index].enter(.retired, now: now)
    }
  }

  /// Notes when the provider itself will end version `number`.
  package mutating func setExpiry(of number: UInt64, _ expires: Timestamp?) {
    for index in versions.indices where versions[index].number == number { versions[index].expires = expires }
  }

  /// The stored record. Its SHA-256 digest is in log entry `entry`.
  package var bytes: [UInt8] {
    // Most records fit, and malloc keeps blocks up to this size at hand.
    var record = CanonicalWriter(capacity: 992)
    record.add("admin", admin)
    record.add("created", created.description)
    if !deliveries.isEmpty { record.add("deliveries", .array(deliveries.map(\.json))) }
    if !elsewhere.isEmpty { record.add("elsewhere", .array(elsewhere.sorted().map { .integer(Int(clamping: $0)) })) }
    if ended > 0 { record.add("ended", Int(clamping: ended)) }
    record.add("entry", Int(clamping: entry))
    if let exposure { record.add("exposure", exposure.json) }
    if let graceEnds { record.add("grace_ends", graceEnds.description) }
    record.add("id", id.description)
    record.add("key", keyID)
    if let keyed { record.add("keyed", Int(clamping: keyed)) }
    if let leak { record.add("leak", leak.json) }
    record.add("name", name)
    record.add("policy", policy.json)
    record.add("provider", provider)
    if let reach { record.add("reach", reach.json) }
    if reconciled > 0 { record.add("reconciled", Int(clamping: reconciled)) }
    record.add("rotation", Int(clamping: rotation))
    record.add("settings", settings)
    record.add("steps", Int(steps))
    if let transfer { record.add("transfer", transfer.json) }
    record.add("v", Self.format)
    record.add("versions", versions) { record, version in version.write(to: &record) }
    record.end()
    return record.bytes
  }

  /// Reads a stored record, and checks that it is one: canonical, and with exactly one active version, or possibly none
  /// if it was handed over.
  package init(decoding bytes: [UInt8], name: String) throws {
    var reader = CredentialReader()
    self = try reader.credential(decoding: bytes, name: name)
  }

  /// The same for a record of any form. It decides where the quick reader of plain records does not. A member or a policy
  /// that this program does not know may be a newer one's: `unsupportedFormat`, and whoever reads the record asks the
  /// log whether it is that or damage.
  init(readingInFull bytes: [UInt8], name: String) throws {
    let what = "the record of \(Name.printable(name))"
    self = try VaultError.rethrowingCorrupt(what) {
      do {
        return try Credential(
          members: JSONMembers(of: JSONValue(readingCanonical: bytes), "record"), name: name, what: what)
      } catch let error as JSONError where error.code == .unknownMember {
        throw VaultError(.unsupportedFormat, "\(what) has more than this program knows: \(error)")
      }
    }
  }

  private init(members source: JSONMembers, name: String, what: String) throws {
    var members = source
    try VaultError.requireFormat(members.count("v"), Self.format, what)
    guard let id = Identifier(try members.string("id")), try members.string("name").utf8.elementsEqual(name.utf8) else {
      throw VaultError(.corrupt, "\(what) is another credential's")
    }
    self.id = id
    self.name = name
    provider = try members.string("provider")
    settings = try members.strings("settings")
    let policies = try members.strings("policy")
    if let stranger = policies.keys.filter({ key in !Policy.keys.contains { $0.key == key } }).min() {
      throw JSONError(.unknownMember, "policy: unknown member \"\(Name.printable(stranger))\"")
    }
    do { policy = try Policy(policies) } catch {
      throw VaultError(.corrupt, "\(what): \(error)")
    }
    admin = try members.string("admin")
    keyID = try members.string("key")
    created = try members.timestamp("created")
    rotation = UInt64(try members.count("rotation"))
    entry = UInt64(try members.count("entry"))
    let reconciled = try members.optionalCount("reconciled")
    guard reconciled != 0 else { throw VaultError(.corrupt, "\(what): a restore has no number 0") }
    self.reconciled = UInt64(reconciled ?? 0)
    guard let steps = UInt32(exactly: try members.count("steps")), (steps == 0) == (rotation == 0) else {
      throw VaultError(.corrupt, "\(what): its rotation and steps contradict each other")
    }
    self.steps = steps
    let ended = try members.optionalCount("ended")
    self.ended = UInt64(ended ?? 0)
    graceEnds = try members.optionalString("grace_ends") == nil ? nil : members.timestamp("grace_ends")
    guard ended != 0, self.ended <= rotation, graceEnds == nil || self.ended < rotation else {
      throw VaultError(.corrupt, "\(what): its rotation and the last that ended contradict each other")
    }
    versions = try members.array("versions").map { try Version($0) }
    deliveries = try Self.deliveries(&members, what)
    elsewhere = try Self.elsewhere(&members, what)
    keyed = try members.optionalCount("keyed").map { UInt64($0) }
    exposure = try members.optionalValue("exposure").map { try Exposure($0) }
    leak = try members.optionalValue("leak").map { try Leak($0) }
    reach = try members.optionalValue("reach").map { try Reach($0) }
    transfer = try members.optionalValue("transfer").map { try Transfer($0) }
    try members.finish()
    guard rotation <= Self.maximumNumber, newestNumber <= Self.maximumNumber else {
      throw VaultError(.corrupt, "\(what): it has a number too high for any count of rotations")
    }
    let numbers = versions.map(\.number)
    let active = versions.filter { $0.stage == .active }.count
    guard active == 1 || active == 0 && transfer != nil, hasSoundTransfer,
      versions.filter({ $0.stage == .staged }).count <= 1,
      zip(numbers, numbers.dropFirst()).allSatisfy({ $0 < $1 }), (numbers.first ?? 0) > 0
    else { throw VaultError(.corrupt, "\(what): its versions contradict each other") }
    guard exposure.map({ $0.version >= version(in: .active)?.number ?? 0 }) ?? true else {
      throw VaultError(.corrupt, "\(what): it is marked as exposed, but its active version is newer")
    }
    guard elsewhere.isSubset(of: numbers) else {
      throw VaultError(.corrupt, "\(what): a version that it does not have was made at a former place")
    }
    guard leak == nil && reach == nil || transfer == nil else {
      throw VaultError(.corrupt, "\(what): it is marked both as leaked and as handed over")
    }
    guard leak == nil || isActiveLeaked || isStagedLeaked || !leakedDebts.isEmpty else {
      throw VaultError(.corrupt, "\(what): it is marked as leaked, but nothing that leaked is left")
    }
  }
}
