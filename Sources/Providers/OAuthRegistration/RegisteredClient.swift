import Audit
import JSON
import Rotation
import Sodium

/// A client as its registration shows it (RFC 7591 §3.2.1, RFC 7592 §3).
struct RegisteredClient: Sendable {
  let answer: ManagementCall.Answer
  private let node: JSONNode

  /// Throws `malformed` unless the answer is an object.
  init(_ answer: ManagementCall.Answer, mayHaveActed: Bool) throws(ProviderError) {
    self.answer = answer
    node = try answer.json(mayHaveActed: mayHaveActed)
    guard case .object = node else {
      throw ProviderError(
        .malformed, "the answer (HTTP \(answer.status)) is not a registered client", mayHaveActed: mayHaveActed,
        status: answer.status)
    }
  }

  var clientID: SharedSecret? { answer.secret(node["client_id"]) }
  var clientSecret: SharedSecret? { answer.secret(node["client_secret"]) }
  var registrationToken: SharedSecret? { answer.secret(node["registration_access_token"]) }

  /// When the secret expires; nil if the answer does not say, or says 0, which means never.
  var expires: Timestamp? {
    answer.integer(node["client_secret_expires_at"]).flatMap { seconds in
      (1...253_402_300_799).contains(seconds) ? Timestamp(milliseconds: Int64(seconds) * 1000) : nil
    }
  }

  /// The members that the server sets and that must not be sent back (RFC 7592 §2.2). The server chooses the secret.
  private static let serverMembers: Set<String> = [
    "client_id_issued_at", "client_secret", "client_secret_expires_at", "registration_access_token",
    "registration_client_uri",
  ]

  /// The client's own metadata to send: for the same client in a PUT, or for another like it.
  func metadata(forAnother: Bool) throws(ProviderError) -> SharedSecret {
    guard case .object(let members) = node else { throw ProviderError(.malformed, "no client") }
    let kept = members.filter { member in
      !Self.serverMembers.contains(member.name) && (!forAnother || member.name != "client_id")
    }.map { member in
      // glewlwyd shows a list of one where RFC 7591 §2 has a string, and accepts only a string.
      if member.name == "token_endpoint_auth_method", case .array(let methods) = member.value, let first = methods.first
      {
        return (name: member.name, value: first)
      }
      return member
    }
    do {
      let text = try answer.body.secret.withBytes { bytes in
        // Values are written exactly as they were read. Only the names, which are escaped again, may be longer.
        try SecretBytes(capacity: bytes.byteCount + kept.reduce(2) { $0 + 6 * $1.name.utf8.count + 4 }) { output in
          JSONNode.object(kept).append(to: &output, from: bytes)
        }
      }
      return SharedSecret(text)
    } catch {
      throw ProviderError(.malformed, "there is no memory for the client's metadata")
    }
  }
}

extension JSONNode {
  /// Appends the node as JSON, with its strings and numbers exactly as in `bytes`, from which it was read.
  func append(to output: inout OutputRawSpan, from bytes: RawSpan) {
    func append(_ text: String) { for byte in text.utf8 { output.append(byte) } }
    func append(_ range: Range<Int>) {
      for offset in range { output.append(bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)) }
    }
    switch self {
    case .null: append("null")
    case .bool(let value): append(value ? "true" : "false")
    case .number(let range): append(range)
    case .string(let range):
      append("\"")
      append(range)
      append("\"")
    case .array(let elements):
      append("[")
      for (index, element) in elements.enumerated() {
        if index > 0 { append(",") }
        element.append(to: &output, from: bytes)
      }
      append("]")
    case .object(let members):
      append("{")
      for (index, member) in members.enumerated() {
        if index > 0 { append(",") }
        append(JSONValue.string(member.name).canonicalText)
        append(":")
        member.value.append(to: &output, from: bytes)
      }
      append("}")
    }
  }
}
