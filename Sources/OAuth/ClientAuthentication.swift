/// How a client presents its pair to a token endpoint (RFC 6749 §2.3.1).
package enum ClientAuthentication: String, Sendable, CaseIterable {
  /// In the form, as `client_id` and `client_secret`.
  case body
  /// In an `Authorization: Basic` header, with each part form-encoded first, as the RFC says.
  case basic
  /// In an `Authorization: Basic` header without encoding, because many servers do not decode. For pairs of unreserved
  /// characters the bytes are the same as with `basic`.
  case basicRaw = "basic-raw"
}
