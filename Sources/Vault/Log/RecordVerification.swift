import Audit
import JSON
import Sodium
import Storage

/// What the log says of the records, gathered in one pass over it and then compared with them: that each is the newest
/// that the log speaks of, that none is missing, that owners gave it its terms, that the journals point at every step,
/// and that there are no other rows than these call for.
///
/// It keeps 80 bytes for each credential and some for each grant, however long the log is. What it must recognise again
/// it keeps as a keyed hash. Each verification has another key, so nobody can prepare two records with the same hash.
struct RecordVerification {
  /// What the log says of one credential, as far as the log was read.
  fileprivate struct State {
    /// The hash of its name; 0 in a free slot.
    var name: UInt64 = 0
    /// One more than the index of the newest entry with a `record`; 0 if it was removed since, or there is none.
    var newest: UInt64 = 0
    /// The hash of the `record` there.
    var record: UInt64 = 0
    /// One more than the index of the newest owner's entry with its terms; 0 if there is none.
    var keyed: UInt64 = 0
    /// The hash of the `terms` there; 0 if the terms must be checked in full.
    var terms: UInt64 = 0
    /// The sum of the hashes of its steps since it was added, each with its rotation and index.
    var steps: UInt64 = 0
    /// The sum of the hashes of the names of those who hold a grant on it.
    var grants: UInt64 = 0
  }

  private var states = Slots()
  /// For the hash of each member's name, the hashes of the names of the credentials on which they hold a grant.
  private var grants: [UInt64: Set<UInt64>] = [:]
  let hash = KeyedHash()
  private var restore: UInt64?
  /// The first entry about the record of a credential that does not exist at that point; nil if there is none.
  private(set) var stray: UInt64?
  /// The sum of the hashes of all restores, made as for steps.
  private var restores: UInt64 = 0

  /// Takes note of the entry at `index`, after which the members are those of `membership`.
  mutating func note(
    _ reading: LogVerification.Reading, _ bytes: borrowing Span<UInt8>, at index: UInt64, _ membership: Membership?
  ) throws {
    switch reading {
    case .plain(let head): note(head, bytes, at: index)
    case .full(let entry): try note(entry, at: index, membership)
    }
  }

  private mutating func note(_ head: EntryHead, _ bytes: borrowing Span<UInt8>, at index: UInt64) {
    guard let credential = head.credential else { return }
    let place = states.place(of: hash(bytes, at: credential))
    var isAddition = false
    // The only owners' event that is read this way is `credential.added` with its terms.
    if let terms = head.terms, bytes.equals("credential.added", at: head.event) {
      isAddition = true
      states[place].steps = 0
      forgetGrants(at: place)
      states[place].keyed = index + 1
      states[place].terms = hash(bytes, at: terms)
    }
    if let record = head.record, hasRecord(at: place, isAdded: isAddition, index) {
      states[place].newest = index + 1
      states[place].record = hash(bytes, at: record)
    }
    if let rotation = head.rotation, let step = head.step {
      states[place].steps &+= hash(rotation, step, index)
    }
  }

  mutating func note(_ entry: LogEntry, at index: UInt64, _ membership: Membership?) throws {
    if entry.event == EventName.vaultRestored.text {
      restore = index
      if let number = entry.number("restore") {
        restores &+= hash(number, 0, index)
      }
    }
    if entry.event == EventName.memberRemoved.text, let member = entry.text("removed") {
      let member = hash(member)
      for name in grants.removeValue(forKey: member) ?? [] { states.with(name) { $0.grants &-= member } }
    }
    guard let credential = entry.text("credential") else { return }
    let hash = hash
    let name = hash(credential)
    switch EventName(entry.event) {
    case .credentialRemoved:
      let place = states.place(of: name)
      states[place].newest = 0
      forgetGrants(at: place)
    case .credentialAdded, .credentialRekeyed:
      if entry.event == EventName.credentialAdded.text { forgetGrants(at: states.place(of: name)) }
      states.with(name) { state in
        // Earlier steps belong to another credential of that name, which was removed.
        if entry.event == EventName.credentialAdded.text { state.steps = 0 }
        state.keyed = entry.details["terms"] == nil ? 0 : index + 1
        state.terms = 0
        if let terms = entry.text("terms"), entry.details["exposure"] == nil {
          state.terms = hash(terms)
        }
      }
    case .grantAdded, .grantRemoved:
      guard let grantee = entry.text("grantee") else {
        throw VaultError(.corrupt, "log entry \(index): \(entry.event) without a grantee")
      }
      guard
        entry.event != EventName.grantAdded.text || states.state(name).newest == 0
          || (try? membership?.member(grantee).role) == .operator
      else {
        throw VaultError(.corrupt, "log entry \(index): a grant to \(Name.printable(grantee)), who is not an operator")
      }
      noteGrant(hash(grantee), on: name, isGiven: entry.event == EventName.grantAdded.text)
    default: break
    }
    if let record = entry.details["record"], entry.event != EventName.credentialRemoved.text,
      hasRecord(at: states.place(of: name), isAdded: entry.event == EventName.credentialAdded.text, index)
    {
      states.with(name) { state in
        state.newest = index + 1
        if case .string(let text) = record { state.record = hash(text) } else { state.record = 0 }
      }
    }
    if let rotation = entry.number("rotation"), let step = entry.number("step").flatMap({ UInt32(exactly: $0) }) {
      states.with(name) { $0.steps &+= hash(rotation, step, index) }
    }
  }

  /// Whether there is a credential at `place` that the `record` in entry `index` can belong to: the entry adds it, or
  /// it was there before. Any member can write an entry about one that is not there; only an owner's entry adds or
  /// removes one.
  private mutating func hasRecord(at place: Int, isAdded: Bool, _ index: UInt64) -> Bool {
    if isAdded || states[place].newest != 0 { return true }
    stray = stray ?? index
    return false
  }

  /// Notes that the member whose name has the hash `member` holds a grant on the credential `name`, or holds none.
  private mutating func noteGrant(_ member: UInt64, on name: UInt64, isGiven: Bool) {
    guard states.state(name).newest != 0 else { return }
    if isGiven {
      if grants[member, default: []].insert(name).inserted { states.with(name) { $0.grants &+= member } }
    } else if grants[member]?.remove(name) != nil {
      states.with(name) { $0.grants &-= member }
    }
  }

  /// Notes that nobody holds a grant on the credential at `place`: it was removed, or is a new one of the same name.
  private mutating func forgetGrants(at place: Int) {
    let name = states[place].name
    for member in grants.keys where grants[member]?.remove(name) != nil { states[place].grants &-= member }
  }

  /// Compares the records of `view` with what was noted of its whole log. Throws `corrupt`.
  func finish(_ view: VaultView) throws {
    var reader = CredentialReader()
    var indexes = IndexSums(hash)
    var sealed = SealedRows(hash)
    let steps = try JournalSums(view.transaction, expecting: states.used, hash)
    let rows = try GrantSums(view.transaction, hash)
    var (found, journals, granted) = (0, 0, 0)
    try view.transaction.scan(.credentials, from: [], to: nil, reversed: false) { key, value in
      let name = try VaultView.name(key)
      let credential = try view.askingLog(about: value, name) { try reader.credential(decoding: value, name: name) }
      let state = states.state(hash(credential.name))
      try require(credential, value, state, in: view)
      if try requireJournal(of: credential, state, steps, in: view) { journals += 1 }
      if try requireGrants(on: credential, state, rows) { granted += 1 }
      indexes.add(credential)
      sealed.add(credential)
      found += 1
      return true
    }
    guard found == states.present else {
      throw VaultError(.corrupt, "found \(found) credentials, expected the log's \(states.present)")
    }
    try indexes.require(in: view)
    try sealed.require(in: view)
    guard rows.count == granted, !rows.hasRowsWithoutIdentifier else {
      throw VaultError(.corrupt, "there are grants on credentials that do not exist")
    }
    guard try view.journalledRestoration()?.entry == restore else {
      throw VaultError(.corrupt, "the journal does not point at the newest restore in the log")
    }
    let restored = steps.sum(of: view.header.id)
    guard restored ?? 0 == restores else {
      throw VaultError(.corrupt, "the journal has other restores than the log")
    }
    guard steps.count == journals + (restored == nil ? 0 : 1), steps.damaged.isEmpty, !steps.hasRowsWithoutIdentifier
    else {
      throw VaultError(.corrupt, "there are journals of credentials that do not exist")
    }
  }

  private func require(_ credential: Credential, _ bytes: [UInt8], _ state: State, in view: VaultView) throws {
    guard state.newest == credential.entry &+ 1 else {
      throw VaultError(
        .corrupt,
        "the record of \(credential.name) is that of log entry \(credential.entry), but there is a newer one, or it was removed"
      )
    }
    guard hash(SHA256.hash(bytes).base64) == state.record else {
      throw VaultError(
        .corrupt,
        "the record of \(credential.name) does not match log entry \(credential.entry): it was altered")
    }
    guard credential.keyed.map({ $0 &+ 1 }) ?? 0 == state.keyed else {
      if state.terms == hash(Credential.noTerms) { throw VaultError(withheld: credential.name) }
      throw VaultError(.corrupt, "the record of \(credential.name) names an owner's log entry that is not the newest")
    }
    if state.terms == 0 || credential.exposure != nil {
      try view.requireTerms(of: credential)
    } else if hash(credential.termsDigest) != state.terms {
      throw VaultError(
        .corrupt, "the record of \(credential.name) does not match log entry \(state.keyed - 1), which is an owner's")
    }
    try view.requireTransfer(of: credential)
  }

  /// Returns whether it has a journal.
  private func requireJournal(
    of credential: Credential, _ state: State, _ steps: JournalSums, in view: VaultView
  ) throws -> Bool {
    guard !steps.damaged.contains(credential.id) else {
      throw VaultError(.corrupt, "the journal of \(credential.name) has a damaged row")
    }
    let sum = steps.sum(of: credential.id)
    guard sum ?? 0 == state.steps else { throw try missingStep(of: credential, in: view) }
    return sum != nil
  }

  /// Returns whether it has any grants.
  private func requireGrants(on credential: Credential, _ state: State, _ grants: GrantSums) throws -> Bool {
    let sum = grants.sum(of: credential.id)
    guard sum ?? 0 == state.grants else {
      throw VaultError(
        .corrupt, "the grants on \(credential.name) are not those in the log",
        hint: "`relatch rekey` seals its key only to those in the log; find out who can write the vault's folder")
    }
    return sum != nil
  }

  /// Says which step is missing from the journal of `credential`. Goes through the log once more.
  private func missingStep(of credential: Credential, in view: VaultView) throws -> VaultError {
    var missed: UInt64?
    try view.replay { entry, index in
      guard entry.says("credential", credential.name) else { return }
      if entry.event == EventName.credentialAdded.text { missed = nil }
      if missed == nil, try !view.isJournalled(entry, at: index, of: credential.id) { missed = index }
    }
    guard let missed else {
      return VaultError(.corrupt, "the journal of \(credential.name) has steps that are not in the log")
    }
    return VaultError(
      .corrupt, "the journal of \(credential.name) does not point at its step in log entry \(missed)")
  }
}

/// The states of all credentials by the hashes of their names, in a table with open addressing.
private struct Slots {
  private var slots = [RecordVerification.State](repeating: .init(), count: 64)
  private(set) var used = 0
  /// How many credentials there are.
  var present: Int { slots.count { $0.newest != 0 } }

  subscript(place: Int) -> RecordVerification.State {
    get { slots[place] }
    set { slots[place] = newValue }
    _modify { yield &slots[place] }
  }

  func state(_ name: UInt64) -> RecordVerification.State { slots[search(name)] }

  mutating func with(_ name: UInt64, _ change: (inout RecordVerification.State) -> Void) {
    change(&self[place(of: name)])
  }

  /// The slot of `name`, which gets one if it has none. The slot stays where it is until another name gets one.
  mutating func place(of name: UInt64) -> Int {
    var place = search(name)
    if slots[place].name == 0 {
      if used * 8 >= slots.count * 7 {
        grow()
        place = search(name)
      }
      used += 1
      slots[place].name = name
    }
    return place
  }

  /// The slot of `name`, or the free one where it would be.
  private func search(_ name: UInt64) -> Int {
    let mask = slots.count - 1
    var place = Int(truncatingIfNeeded: name) & mask
    while slots[place].name != 0, slots[place].name != name { place = (place + 1) & mask }
    return place
  }

  private mutating func grow() {
    let old = slots
    slots = [RecordVerification.State](repeating: .init(), count: 2 * old.count)
    for state in old where state.name != 0 { slots[search(state.name)] = state }
  }
}
