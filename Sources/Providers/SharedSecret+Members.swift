import JSON
import Sodium

// What an answer says that is not secret: the answer itself always counts as secret.
extension SharedSecret {
  /// The text of `node`, which was read from this; nil if it is absent or not a string.
  func text(_ node: JSONNode?) -> String? { secret.withBytes { bytes in try? node?.text(in: bytes) } }

  /// The whole number that `node`, which was read from this, is; nil if it is absent or anything else.
  func integer(_ node: JSONNode?) -> Int? {
    guard let node, case .integer(let value)? = secret.withBytes({ try? JSONValue(node, in: $0) }) else { return nil }
    return value
  }
}
