import Audit
import Rotation
import Sodium
import Synchronization
import Vault

/// A provider in memory without a primary pair: many are accepted alike, or one ends when another is made.
final class FakeSystem: CredentialProvider {
  struct State: Sendable {
    /// In the order in which they were made; with cut-over only the last is accepted.
    var accepted: [String]
    /// Pairs that bear the credential's mark, and are listed for a caller that asks with it. Their secrets are not
    /// shown.
    var marked: Set<String> = []
    /// Pairs that bear no mark, and are listed nevertheless.
    var listed: Set<String> = []
    /// Whether only secrets tell pairs apart, and only those are shown that the caller already has.
    var tellsBySecret = false
    /// Pairs that are refused although they are there.
    var refused: Set<String> = []
    /// Whether, with cut-over, a replaced pair lives on until it is deleted or the next one is made.
    var keepsReplaced = false
    var made = 1
    /// When the pairs it has made end automatically, and which calls say so: `stage`, `observe`.
    var ends: (at: Timestamp, told: Set<String>)?
    /// Whether a request for another pair returns the newest one that was there, and whether another was made
    /// nevertheless.
    var answersOld: (isSo: Bool, hasMade: Bool) = (false, true)
    /// How many looks after a pair was made still show what was there before.
    var lag = 0
    var past: (accepted: [String], looks: Int) = ([], 0)
    /// How many more grants over new connections lead to servers that have not heard of pairs made here.
    var unheard = 0
    /// The time that it gives; nil if it gives none.
    var time: Timestamp?
    var calls: [String] = []
    /// The grants over new connections: what was asked, and whether it was granted.
    var grantsAnew: [String] = []
    /// Called before each call, and may throw instead of it.
    var trouble: @Sendable (String) throws(ProviderError) -> Void = { _ throws(ProviderError) in }
    /// Called and awaited before that: what others do while a run waits for the provider.
    var meanwhile: @Sendable (String) async -> Void = { _ in }
  }

  let replacement: Replacement
  let state: Mutex<State>

  init(_ replacement: Replacement, accepting ids: [String] = ["id-1"]) {
    self.replacement = replacement
    state = Mutex(State(accepted: ids))
  }

  var calls: [String] { state.withLock { $0.calls } }

  private func note(_ call: String) async throws(ProviderError) {
    let (trouble, meanwhile) = state.withLock { state in
      state.calls.append(call)
      return (state.trouble, state.meanwhile)
    }
    await meanwhile(call)
    try trouble(call)
  }

  private static func name(_ part: borrowing SecretBytes) -> String {
    part.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
  }

  private static func observed(
    _ id: String, _ place: ObservedPair.Place, isShown: Bool = true, sharesClientID: Bool = false,
    isMarked: Bool = false, ends: Timestamp? = nil
  ) throws(ProviderError) -> ObservedPair {
    do {
      let pair = try FakeProvider.pair(id)
      return ObservedPair(
        place: place, handle: "handle-\(id)", clientID: SharedSecret(try pair.clientID.clone()),
        clientSecret: isShown ? SharedSecret(try pair.clientSecret.clone()) : nil, expires: ends,
        sharesClientID: sharesClientID, isMarked: isMarked)
    } catch { throw ProviderError(.malformed, "no memory") }
  }

  func observe(known: KnownPairs) async throws(ProviderError) -> Observation {
    try await note("observe")
    let (accepted, listed, all) = state.withLock { state in
      guard state.past.looks > 0 else { return (state.accepted, state.listed, state.marked) }
      state.past.looks -= 1
      return (state.past.accepted, state.listed, state.marked)
    }
    // A credential's mark is the program's name and an identifier.
    let marked = known.mark.hasPrefix("relatch-") ? all : []
    guard let newest = accepted.last else { throw ProviderError(.notFound, "there is nothing") }
    let stages = known.all.map { (id: Self.name($0.pair.clientID), stage: $0.stage) }
    let active = stages.last { $0.stage == .active }?.id
    var others: [ObservedPair] = []
    if replacement == .cutOver {
      let found = stages.last { $0.id == newest }?.stage
      let replaced = accepted.dropLast()
      guard let active, found == .staged || found == nil && known.isStaging else {
        for id in replaced { others.append(try Self.observed(id, .replaced)) }
        return Observation(
          consumer: "one", primary: try Self.observed(newest, .primary, ends: end(toldBy: "observe")), others: others)
      }
      others.append(try Self.observed(newest, .staged))
      for id in replaced where id != active { others.append(try Self.observed(id, .replaced)) }
      return Observation(consumer: "one", primary: try Self.observed(active, .primary), others: others)
    }
    let staged = stages.last { $0.stage == .staged && accepted.contains($0.id) }?.id
    let primary = active.flatMap { accepted.contains($0) ? $0 : nil } ?? staged ?? newest
    for id in accepted where id != primary {
      let stage = stages.last { $0.id == id }?.stage
      if stage == nil, !marked.contains(id), !listed.contains(id) { continue }
      others.append(
        try Self.observed(
          id, stage == .previous || stage == .active ? .replaced : .staged, isShown: stage != nil,
          sharesClientID: state.withLock(\.tellsBySecret), isMarked: stage == nil && marked.contains(id)))
    }
    let end = end(toldBy: "observe")
    return Observation(consumer: "one", primary: try Self.observed(primary, .primary, ends: end), others: others)
  }

  private func end(toldBy call: String) -> Timestamp? {
    state.withLock { state in state.ends.flatMap { $0.told.contains(call) ? $0.at : nil } }
  }

  func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    try await note("stage")
    let id = state.withLock { state in
      let newest = state.accepted.last
      if let newest, state.answersOld.isSo, !state.answersOld.hasMade { return newest }
      state.made += 1
      state.past = (state.accepted, state.lag)
      let id = "id-\(state.made)"
      let left = replacement == .cutOver ? state.accepted.suffix(state.keepsReplaced ? 1 : 0) : state.accepted[...]
      state.accepted = left + [id]
      if let newest, state.answersOld.isSo { return newest }
      return id
    }
    return try Self.observed(id, .staged, ends: end(toldBy: "stage"))
  }

  func promote(handle: String, _ observation: Observation) async throws(ProviderError) {}

  func delete(handle: String, _ observation: Observation) async throws(ProviderError) {
    try await note("delete \(handle)")
    state.withLock { state in state.accepted.removeAll { handle == "handle-\($0)" } }
  }

  func administer(with pair: Pair) async {}

  func grant(_ pair: Pair, overNewConnection: Bool) async throws(ProviderError) -> GrantEvidence {
    let id = Self.name(pair.clientID)
    try await note("grant \(id)")
    let isGranted = state.withLock { state in
      let isKnown = state.accepted.contains(id) && !state.refused.contains(id)
      guard overNewConnection else { return isKnown }
      let isUnheard = id != "id-1" && state.unheard > 0
      if isUnheard { state.unheard -= 1 }
      state.grantsAnew.append("\(id) \(isKnown && !isUnheard)")
      return isKnown && !isUnheard
    }
    guard isGranted else { throw ProviderError(.refused, "refused", status: 400) }
    return GrantEvidence(status: 200, signature: .valid, providerTime: state.withLock(\.time))
  }
}
