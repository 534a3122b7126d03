package import Audit
import JSON

/// What a token grant showed, for the log. Nothing in it is secret.
package struct GrantEvidence: Hashable, Sendable {
  /// Whether the provider's signature over its answer verifies with the pair's secret.
  package enum Signature: String, Sendable {
    case valid, mismatch, absent
  }

  package let status: Int
  package let signature: Signature
  /// The provider's time when it answered, if it gave one.
  package let providerTime: Timestamp?
  /// HTTP status of the read that was tried with the token, if any.
  package let probe: Int?
  /// What a person should look at, although it stops nothing.
  package let remarks: [String]

  package init(
    status: Int, signature: Signature, providerTime: Timestamp? = nil, probe: Int? = nil, remarks: [String] = []
  ) {
    self.status = status
    self.signature = signature
    self.providerTime = providerTime
    self.probe = probe
    self.remarks = remarks
  }
}

extension GrantEvidence {
  /// The members of a journal entry.
  var members: [String: JSONValue] {
    var members: [String: JSONValue] = ["signature": .string(signature.rawValue), "status": .integer(status)]
    if let probe { members["probe"] = .integer(probe) }
    return members
  }
}
