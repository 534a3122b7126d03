import Audit
import Rotation
import Sodium
import Synchronization
import Vault

/// A provider in memory that keeps its word, unless it is told to break it.
final class FakeProvider: AdministratorGranter {
  struct State: Sendable {
    var primary: String
    var slot: (id: String, place: ObservedPair.Place)?
    var refused: Set<String> = []
    var made = 1
    /// The time that the provider gives; nil if it gives none.
    var time: Timestamp?
    var calls: [String] = []
    /// Called before each call, and may throw instead of it.
    var trouble: @Sendable (String) throws(ProviderError) -> Void = { _ throws(ProviderError) in }
    /// Called and awaited before that: what others do while a run waits for the provider.
    var meanwhile: @Sendable (String) async -> Void = { _ in }
    /// The secret of the next staged pair; nil hides it.
    var nextSecret: @Sendable (Int) -> String? = { "secret-\($0)" }
    /// Whether promotion and deletion only claim that they happened.
    var lies = false
    /// How many looks after a promotion still show the old pair as primary, though also as replaced.
    var lateLooks = 0
    /// Whether the pair in the slot bears the credential's mark.
    var marks = false
    /// Whether it shows pairs that the vault does not know.
    var showsUnknownPairs = true
    /// The pair that was last given to drive the calls that follow.
    var administrator: String?
    /// The identifiers of the pairs that were tried over a new connection.
    var triedAnew: [String] = []
  }

  let state: Mutex<State>

  init(primary: String) { state = Mutex(State(primary: primary)) }

  var showsUnknownPairs: Bool { state.withLock { $0.showsUnknownPairs } }

  var calls: [String] { state.withLock { $0.calls } }

  static func secret(_ text: String) throws -> SecretBytes {
    let bytes = Array(text.utf8)
    return try SecretBytes(copying: bytes.span.bytes)
  }

  static func pair(_ id: String) throws -> Pair {
    Pair(clientID: try secret(id), clientSecret: try secret("secret-of-\(id)"))
  }

  private func note(_ call: String) async throws(ProviderError) {
    let (trouble, meanwhile) = state.withLock { state in
      state.calls.append(call)
      return (state.trouble, state.meanwhile)
    }
    await meanwhile(call)
    try trouble(call)
  }

  private static func observed(
    _ id: String, _ place: ObservedPair.Place, _ secret: String? = nil, isMarked: Bool = false
  ) throws(ProviderError) -> ObservedPair {
    do {
      return ObservedPair(
        place: place, handle: "handle-\(id)", clientID: SharedSecret(try Self.secret(id)),
        clientSecret: try secret.map { SharedSecret(try Self.secret($0)) }, expires: nil, isMarked: isMarked)
    } catch { throw ProviderError(.malformed, "no memory") }
  }

  func observe(known: KnownPairs) async throws(ProviderError) -> Observation {
    try await note("observe")
    let (primary, slot, secret, marks) = state.withLock { state in
      var primary = state.primary
      if state.lateLooks > 0, let slot = state.slot, slot.place == .replaced {
        state.lateLooks -= 1
        primary = slot.id
      }
      return (primary, state.slot, state.nextSecret(state.made), state.marks)
    }
    var others: [ObservedPair] = []
    if let slot { others.append(try Self.observed(slot.id, slot.place, secret, isMarked: marks)) }
    return Observation(consumer: "one", primary: try Self.observed(primary, .primary), others: others)
  }

  func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    try await note("stage")
    let (id, secret) = state.withLock { state in
      state.made += 1
      let id = "id-\(state.made)"
      state.slot = (id, .staged)
      return (id, state.nextSecret(state.made))
    }
    return try Self.observed(id, .staged, secret)
  }

  func promote(handle: String, _ observation: Observation) async throws(ProviderError) {
    try await note("promote")
    state.withLock { state in
      guard !state.lies, let slot = state.slot else { return }
      state.slot = (state.primary, .replaced)
      state.primary = slot.id
    }
  }

  func delete(handle: String, _ observation: Observation) async throws(ProviderError) {
    try await note("delete \(handle)")
    state.withLock { state in
      guard !state.lies, let slot = state.slot, handle == "handle-\(slot.id)" else { return }
      state.refused.insert(slot.id)
      state.slot = nil
    }
  }

  func grant(administrator pair: Pair) async throws(ProviderError) { _ = try await grant(pair) }

  func administer(with pair: Pair) async {
    state.withLock { $0.administrator = pair.clientID.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
  }

  func grant(_ pair: Pair, overNewConnection: Bool) async throws(ProviderError) -> GrantEvidence {
    let id = pair.clientID.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    try await note("grant \(id)")
    if overNewConnection { state.withLock { $0.triedAnew.append(id) } }
    guard !state.withLock({ $0.refused.contains(id) }) else { throw ProviderError(.refused, "refused", status: 400) }
    return GrantEvidence(status: 200, signature: .valid, providerTime: state.withLock(\.time))
  }
}
