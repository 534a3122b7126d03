import Age
import Sodium
import Storage
import Synchronization
import Vault

/// What targets make and open. It is the same in every process: otherwise an input would mean something else in the
/// next.
enum Fixed {
  static let identity = made { try Identity(AgeIdentity(generating: randomness("alice"))) }
  static let other = made { try Identity(AgeIdentity(generating: randomness("bob"))) }
  static let secret = Array("what nobody may read".utf8)
  static let passphrase = Array("correct horse battery staple".utf8)
  static let key = made { SharedSecret(try randomness("key").secret(32)) }

  /// Random bytes determined by `seed` and the order of calls (SplitMix64).
  static func randomness(_ seed: String) -> Randomness {
    let state = Counter(seed.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) })
    return Randomness { buffer in
      for index in buffer.indices { buffer[index] = UInt8(truncatingIfNeeded: state.next()) }
    }
  }

  private final class Counter: Sendable {
    private let state: Mutex<UInt64>

    init(_ seed: UInt64) { state = Mutex(seed) }

    func next() -> UInt64 {
      state.withLock { state in
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
      }
    }
  }
}

extension SecretBytes {
  /// A copy of the bytes: in targets nothing is secret.
  var copy: [UInt8] { borrowing get { withUnsafeBytes { Array($0) } } }
}

func guarded(_ bytes: [UInt8]) throws -> SharedSecret { SharedSecret(try SecretBytes(copying: bytes.span.bytes)) }

/// Reads the input as a list of edits to `made`: fuzzing does not find an authentic file by chance, but does find one
/// that is nearly authentic.
func edited(_ made: [UInt8], by edits: ArraySlice<UInt8>) -> [UInt8] {
  var bytes = made
  var edits = edits
  while edits.count >= 4, let kind = edits.popFirst(), let high = edits.popFirst(), let low = edits.popFirst(),
    let argument = edits.popFirst()
  {
    let place = (Int(high) << 8 | Int(low)) % (bytes.count + 1)
    let end = min(place + Int(argument), bytes.count)
    switch kind % 5 {
    case 0 where place < bytes.count: bytes[place] ^= argument
    case 1: bytes.insert(argument, at: place)
    case 2: bytes.removeSubrange(place..<end)
    case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
    case 4: bytes = Array(bytes[end...] + bytes[place..<end]) + bytes[..<place]
    default: break
    }
    if bytes.count > 1 << 16 { break }
  }
  return bytes
}

/// A store's tables as one transaction that never ends.
final class Tables: WriteTransaction {
  var rows: [Table: [[UInt8]: [UInt8]]] = [:]
  var finishingStep: (any FinishingStep)?

  init() {}

  func value(in table: Table, for key: [UInt8]) -> [UInt8]? { rows[table]?[key] }

  func scan(
    _ table: Table, from lower: [UInt8], to upper: [UInt8]?, reversed: Bool,
    _ visit: (_ key: [UInt8], _ value: [UInt8]) throws -> Bool
  ) throws {
    let found = (rows[table] ?? [:]).filter { key, _ in
      !key.lexicographicallyPrecedes(lower) && upper.map { key.lexicographicallyPrecedes($0) } ?? true
    }
    let sorted = found.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    for (key, value) in reversed ? sorted.reversed() : sorted where try !visit(key, value) { return }
  }

  func set(_ value: [UInt8], in table: Table, for key: [UInt8]) { rows[table, default: [:]][key] = value }

  func remove(_ key: [UInt8], from table: Table) { rows[table]?[key] = nil }
}
