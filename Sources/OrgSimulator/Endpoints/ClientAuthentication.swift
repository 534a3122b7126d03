import FoundationEssentials

/// The client's key and secret as a request presents them.
struct ClientAuthentication {
  let key: String
  let secret: String

  /// Every way to read what the client sent: the body's fields, or the Basic header raw and percent-decoded, because
  /// clients disagree on RFC 6749 section 2.3.1 and Salesforce does not say which it expects.
  static func readings(of request: OrgRequest) -> [ClientAuthentication] {
    guard let authorization = request.authorization, authorization.lowercased().hasPrefix("basic ") else {
      let form = request.form
      guard let key = form["client_id"], let secret = form["client_secret"] else { return [] }
      return [ClientAuthentication(key: key, secret: secret)]
    }
    let encoded = String(authorization.dropFirst(6)).filter { $0 != " " }
    guard let data = Data(base64Encoded: encoded) else { return [] }
    let parts = String(decoding: data, as: UTF8.self)
      .split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { return [] }
    return [
      ClientAuthentication(key: String(parts[0]), secret: String(parts[1])),
      ClientAuthentication(key: OrgRequest.formDecoded(parts[0]), secret: OrgRequest.formDecoded(parts[1])),
    ]
  }
}

/// The outcome of authenticating a client: who it is, or the answer that refuses it.
enum AuthenticatedClient {
  case client(ClientAuthentication, ConsumerPath, isPrimary: Bool)
  case refused(OrgAnswer, ConsumerPath?)
}

extension SimulatedOrg {
  mutating func authenticate(_ request: OrgRequest) -> AuthenticatedClient {
    let readings = ClientAuthentication.readings(of: request)
    var refusal: (answer: OrgAnswer, path: ConsumerPath?) = (unknownKey, nil)
    for reading in readings {
      switch standing(key: reading.key, secret: reading.secret) {
      case .accepted(let path, let isPrimary):
        return .client(reading, path, isPrimary: isPrimary)
      case .propagating(let path):
        useUpRefusal(of: reading.key, at: path)
        return .refused(unknownKey, path)
      case .wrongSecret(let path):
        refusal = (
          .oauthError("invalid_client", "invalid client credentials", status: self.readings.wrongSecretStatus), path
        )
      case .unknownKey:
        continue
      }
    }
    return .refused(refusal.answer, refusal.path)
  }

  private var unknownKey: OrgAnswer {
    switch readings.unknownKeyError {
    case .invalidClientID: .oauthError("invalid_client_id", "client identifier invalid")
    case .invalidClient: .oauthError("invalid_client", "client identifier invalid")
    }
  }
}
