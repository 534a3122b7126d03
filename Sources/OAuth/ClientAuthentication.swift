/// How a client shows its pair to a token endpoint (RFC 6749 §2.3.1).
package enum ClientAuthentication: String, Sendable, CaseIterable {
  /// In the form, as `client_id` and `client_secret`.
  case body
  /// In an `Authorization: Basic` header, each part form-encoded first, as the RFC says.
  case basic
  /// In an `Authorization: Basic` header as they are: many servers do not decode. The same bytes as `basic` for pairs of
  /// unreserved characters.
  case basicRaw = "basic-raw"
}
