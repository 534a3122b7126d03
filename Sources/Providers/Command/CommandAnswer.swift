import Audit
import JSON
import Rotation
import Sodium
import Vault

/// The program's answer: docs/providers/command-contract.md. Members that the contract does not name are ignored.
struct CommandAnswer: Sendable {
  private let body: SharedSecret
  private let node: JSONNode
  private let operation: CommandRequest.Operation

  /// One pair of an answer to `observe` or `stage`.
  struct Listed: Sendable {
    /// The index of the known pair in the request that it is.
    var known: Int?
    let clientID: SharedSecret?
    let clientSecret: SharedSecret?
    let handle: String?
    let place: ObservedPair.Place?
    let expires: Timestamp?
    let key: String?
  }

  /// Throws `malformed` unless `body` is one JSON object.
  init(_ body: SharedSecret, to operation: CommandRequest.Operation) throws(ProviderError) {
    self.body = body
    self.operation = operation
    guard let node = try? body.secret.withBytes({ try JSONNode(reading: $0) }), case .object = node else {
      throw ProviderError(
        .malformed, "the program's answer to \(operation.rawValue) is not a JSON object",
        hint: "see docs/providers/command-contract.md", mayHaveActed: operation.isMutating)
    }
    self.node = node
  }

  private func malformed(_ found: String) -> ProviderError {
    ProviderError(
      .malformed, "the program's answer to \(operation.rawValue): \(found)",
      hint: "see docs/providers/command-contract.md", mayHaveActed: operation.isMutating)
  }

  /// The word of a refusal; nil if there is none. Throws `malformed` for any other `error` than a string or null: it
  /// must not pass for success.
  func error() throws(ProviderError) -> String? { try optional("error", of: node) }

  /// The HTTP status that it gives, if any.
  func status() throws(ProviderError) -> Int? {
    guard let member = node["status"] else { return nil }
    if case .null = member { return nil }
    guard let status = body.integer(member), (100...599).contains(status) else {
      throw malformed("status is not an HTTP status")
    }
    return status
  }

  /// The HTTP status with which a token was granted. An answer without one does not prove a pair.
  func granted() throws(ProviderError) -> Int {
    guard let status = try status(), (200...299).contains(status) else {
      throw malformed("there is neither an error nor a status of 200 to 299")
    }
    return status
  }

  /// What happens to old pairs, as the program says.
  func replacement() throws(ProviderError) -> Replacement {
    guard let replacement = body.text(node["replacement"]).flatMap({ Replacement(rawValue: $0) }) else {
      throw malformed("replacement is not overlap, promotion or cut-over")
    }
    return replacement
  }

  /// The pairs listed in an answer to `observe`. `count` is the number of pairs in the request.
  func pairs(known count: Int) throws(ProviderError) -> [Listed] {
    guard case .array(let entries)? = node["pairs"] else { throw malformed("pairs is not an array") }
    var all: [Listed] = []
    for entry in entries {
      let one = try listed(entry)
      if let index = one.known {
        guard (0..<count).contains(index), !all.contains(where: { $0.known == index }) else {
          throw malformed("known is not the index of a pair in the request, or is used twice")
        }
      } else if one.clientID == nil {
        throw malformed("a pair has neither known nor client_id")
      }
      all.append(one)
    }
    return all
  }

  /// The pair in an answer to `stage`.
  func made() throws(ProviderError) -> Listed {
    guard let pair = node["pair"], case .object = pair else { throw malformed("pair is missing or not an object") }
    return try listed(pair)
  }

  private func listed(_ entry: JSONNode) throws(ProviderError) -> Listed {
    guard case .object = entry else { throw malformed("a pair is not an object") }
    let handle = try optional("handle", of: entry)
    guard handle.map(Self.isPlain) ?? true else {
      throw malformed("a handle is not 1 to 128 printable characters of ASCII without space")
    }
    let place = try optional("place", of: entry)
    guard place.map({ ObservedPair.Place(rawValue: $0) != nil }) ?? true else {
      throw malformed("a place is not primary, staged, replaced or expired")
    }
    let expires = try optional("expires", of: entry)
    guard expires.map({ Timestamp(rfc3339: $0) != nil }) ?? true else {
      throw malformed("expires is not an RFC 3339 time")
    }
    let known = body.integer(entry["known"])
    guard entry["known"] == nil || known != nil else { throw malformed("known is not a whole number") }
    return Listed(
      known: known, clientID: try secret("client_id", of: entry), clientSecret: try secret("client_secret", of: entry),
      handle: handle, place: place.flatMap { ObservedPair.Place(rawValue: $0) },
      expires: expires.flatMap { Timestamp(rfc3339: $0) }, key: try optional("key", of: entry))
  }

  /// Whether `handle` may appear in messages and in the log.
  private static func isPlain(_ handle: String) -> Bool {
    (1...128).contains(handle.utf8.count) && handle.utf8.allSatisfy { (0x21...0x7E).contains($0) }
  }

  private func optional(_ name: String, of entry: JSONNode) throws(ProviderError) -> String? {
    guard let member = entry[name] else { return nil }
    if case .null = member { return nil }
    guard let text = body.text(member) else { throw malformed("\(name) is not a string") }
    return text
  }

  private func secret(_ name: String, of entry: JSONNode) throws(ProviderError) -> SharedSecret? {
    guard let member = entry[name] else { return nil }
    if case .null = member { return nil }
    let body = body
    guard
      let value = try? body.secret.withBytes({ bytes in
        try SecretBytes(capacity: member.capacity) { try member.write(to: &$0, in: bytes) }
      })
    else { throw malformed("\(name) is not a string") }
    let shared = SharedSecret(value)
    guard (try? Pair.check(shared.secret, name)) != nil else {
      throw malformed("\(name) is not 1 to \(Pair.maximumPartSize) bytes without control characters")
    }
    return shared
  }
}
