import Audit
import JSON
import Sodium
import Storage

/// What the log says of the records, gathered while it is gone through once, and then compared with them: that each is the newest
/// that the log speaks of, that none is missing, that owners gave it its terms, and that the journals point at every step.
///
/// It keeps 48 bytes for each credential however long the log is. What it must recognise again it keeps as the stdlib's keyed hash of
/// it and of words drawn for this verification: nobody can prepare two records that have the same, also where the environment makes
/// the stdlib's key a known one (`SWIFT_DETERMINISTIC_HASHING`).
struct RecordVerification {
  /// What the log says of one credential, up to where it was gone through.
  fileprivate struct State {
    /// The hash of its name; 0 in a slot that is free.
    var name: UInt64 = 0
    /// One more than the index of the newest entry with a `record`; 0 if it was removed since, or there is none.
    var newest: UInt64 = 0
    /// The hash of the `record` there.
    var record: UInt64 = 0
    /// One more than the index of the newest owner's entry with its terms; 0 if there is none.
    var keyed: UInt64 = 0
    /// The hash of the `terms` there; 0 if more must be looked at.
    var terms: UInt64 = 0
    /// The sum of the hashes of its steps since it was added, each with its rotation and index.
    var steps: UInt64 = 0
  }

  private var states = Slots()
  let hashing = KeyedHash()
  private var restore: UInt64?

  /// Takes note of the entry at `index`, after which the members are those of `members`.
  mutating func note(
    _ reading: LogVerification.Reading, _ bytes: [UInt8], at index: UInt64, _ membership: Membership?
  ) throws {
    switch reading {
    case .plain(let head): note(head, bytes, at: index)
    case .full(let entry): try note(entry, at: index, membership)
    }
  }

  private mutating func note(_ head: EntryHead, _ bytes: [UInt8], at index: UInt64) {
    let hash = hashing
    guard let credential = head.credential else { return }
    let name = hash(bytes[credential])
    states.with(name) { state in
      // The one event of owners that is read so is `credential.added` with its terms.
      if let terms = head.terms, bytes[head.event].elementsEqual(Self.addition) {
        state.steps = 0
        state.keyed = index + 1
        state.terms = hash(bytes[terms])
      }
      if let record = head.record {
        state.newest = index + 1
        state.record = hash(bytes[record])
      }
      if let rotation = head.rotation, let step = head.step {
        state.steps &+= hash(name, rotation, step, index)
      }
    }
  }

  private static let addition = Array(EventName.credentialAdded.text.utf8)

  mutating func note(_ entry: LogEntry, at index: UInt64, _ membership: Membership?) throws {
    let hash = hashing
    if entry.event == EventName.vaultRestored.text { restore = index }
    guard case .string(let credential)? = entry.details["credential"] else { return }
    let name = hash(Array(credential.utf8)[...])
    switch EventName(entry.event) {
    case .credentialRemoved: states.with(name) { $0.newest = 0 }
    case .credentialAdded, .credentialRekeyed:
      states.with(name) { state in
        // What was before belongs to another of that name, which was removed.
        if entry.event == EventName.credentialAdded.text { state.steps = 0 }
        state.keyed = entry.details["terms"] == nil ? 0 : index + 1
        state.terms = 0
        if case .string(let terms)? = entry.details["terms"], entry.details["exposure"] == nil {
          state.terms = hash(Array(terms.utf8)[...])
        }
      }
    case .grantAdded, .grantRemoved:
      guard case .string(let grantee)? = entry.details["grantee"] else {
        throw VaultError(.corrupt, "log entry \(index): \(entry.event) without a grantee")
      }
      guard
        entry.event != EventName.grantAdded.text || states.state(name).newest == 0
          || (try? membership?.member(grantee).role) == .operator
      else {
        throw VaultError(.corrupt, "log entry \(index): a grant to \(Name.printable(grantee)), who is no operator")
      }
    default: break
    }
    if let record = entry.details["record"], entry.event != EventName.credentialRemoved.text {
      states.with(name) { state in
        state.newest = index + 1
        if case .string(let text) = record { state.record = hash(Array(text.utf8)[...]) } else { state.record = 0 }
      }
    }
    if case .integer(let rotation)? = entry.details["rotation"], case .integer(let step)? = entry.details["step"],
      let rotation = UInt64(exactly: rotation), let step = UInt32(exactly: step)
    {
      states.with(name) { $0.steps &+= hash(name, rotation, step, index) }
    }
  }

  /// Compares the records of `view` with what was noted of all its log. Throws `corrupt`.
  func finish(_ view: VaultView) throws {
    var check = try IndexCheck(view)
    var found = 0
    try view.transaction.scan(.credentials, from: [], to: nil, reversed: false) { key, value in
      let credential = try Credential(decoding: value, name: VaultView.name(key))
      try require(credential, value, in: view)
      try check.require(credential)
      found += 1
      return true
    }
    guard found == states.present else {
      throw VaultError(.corrupt, "there are \(found) credentials, and the log speaks of \(states.present)")
    }
    try check.finish()
    guard try view.restoration()?.entry == restore else {
      throw VaultError(.corrupt, "the journal does not point at the newest restore that the log speaks of")
    }
  }

  private func require(_ credential: Credential, _ bytes: [UInt8], in view: VaultView) throws {
    let hash = hashing
    let name = hash(Array(credential.name.utf8)[...])
    let state = states.state(name)
    guard state.newest == credential.entry &+ 1 else {
      throw VaultError(
        .corrupt,
        "the record of \(credential.name) is that of log entry \(credential.entry), and there is a newer one or it was removed"
      )
    }
    guard hash(Array(SHA256.hash(bytes).bytes.base64.utf8)[...]) == state.record else {
      throw VaultError(
        .corrupt,
        "the record of \(credential.name) is not the one that log entry \(credential.entry) speaks of: it was altered")
    }
    guard credential.keyed.map({ $0 &+ 1 }) ?? 0 == state.keyed else {
      throw VaultError(.corrupt, "the record of \(credential.name) names another entry of an owner's than the newest")
    }
    if state.terms == 0 || credential.exposure != nil {
      try view.requireTerms(of: credential)
    } else if case .string(let terms) = credential.termsDigest, hash(Array(terms.utf8)[...]) != state.terms {
      throw VaultError(
        .corrupt, "the record of \(credential.name) is not what log entry \(state.keyed - 1) of an owner's says of it")
    }
    try view.requireTransfer(of: credential)
    var steps: UInt64 = 0
    for row in try view.transaction.rows(in: .journal, withPrefix: credential.id.bytes) {
      guard let rotation = UInt64(bigEndianBytes: row.key.dropFirst(16).prefix(8)),
        let step = UInt32(bigEndianBytes: row.key.dropFirst(24)), let index = UInt64(bigEndianBytes: row.value)
      else { throw VaultError(.corrupt, "the journal of \(credential.name) has a damaged row") }
      steps &+= hash(name, rotation, step, index)
    }
    guard steps == state.steps else { throw try missedStep(of: credential, in: view) }
  }

  /// Says which step the journal of `credential` misses. Goes through the log once more.
  private func missedStep(of credential: Credential, in view: VaultView) throws -> VaultError {
    var missed: UInt64?
    try view.replay { entry, index in
      guard entry.details["credential"] == .string(credential.name) else { return }
      if entry.event == EventName.credentialAdded.text { missed = nil }
      if missed == nil, try !view.isJournalled(entry, at: index, of: credential.id) { missed = index }
    }
    guard let missed else {
      return VaultError(.corrupt, "the journal of \(credential.name) has steps that the log does not speak of")
    }
    return VaultError(
      .corrupt, "the journal of \(credential.name) does not point at its step in log entry \(missed)")
  }
}

/// The stdlib's hash of what is given, and of words that are others in each of these.
struct KeyedHash {
  private let first = UInt64.random(in: 0...UInt64.max)
  private let second = UInt64.random(in: 0...UInt64.max)

  private var hasher: Hasher {
    var hasher = Hasher()
    hasher.combine(first)
    hasher.combine(second)
    return hasher
  }

  /// Never 0.
  func callAsFunction(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    var hasher = hasher
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    return max(1, UInt64(bitPattern: Int64(hasher.finalize())))
  }

  func callAsFunction(_ name: UInt64, _ rotation: UInt64, _ step: UInt32, _ index: UInt64) -> UInt64 {
    var hasher = hasher
    hasher.combine(name)
    hasher.combine(rotation)
    hasher.combine(step)
    hasher.combine(index)
    return UInt64(bitPattern: Int64(hasher.finalize()))
  }
}

/// The states of all credentials by the hashes of their names: a table with open addressing and nothing else in it.
private struct Slots {
  private var slots = [RecordVerification.State](repeating: .init(), count: 64)
  private var used = 0
  /// How many credentials there are.
  var present: Int { slots.count { $0.newest != 0 } }

  func state(_ name: UInt64) -> RecordVerification.State { slots[place(of: name)] }

  mutating func with(_ name: UInt64, _ change: (inout RecordVerification.State) -> Void) {
    var place = place(of: name)
    if slots[place].name == 0 {
      if used * 8 >= slots.count * 7 {
        grow()
        place = self.place(of: name)
      }
      used += 1
      slots[place].name = name
    }
    change(&slots[place])
  }

  /// The slot of `name`, or the free one where it would be.
  private func place(of name: UInt64) -> Int {
    let mask = slots.count - 1
    var place = Int(truncatingIfNeeded: name) & mask
    while slots[place].name != 0, slots[place].name != name { place = (place + 1) & mask }
    return place
  }

  private mutating func grow() {
    let old = slots
    slots = [RecordVerification.State](repeating: .init(), count: 2 * old.count)
    for state in old where state.name != 0 { slots[place(of: state.name)] = state }
  }
}
