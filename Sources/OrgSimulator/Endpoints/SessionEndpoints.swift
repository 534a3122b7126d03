import FoundationEssentials

/// What a client can ask about an access token, or do to it.
extension SimulatedOrg {
  /// `POST /services/oauth2/introspect`. A client sees only its own app's tokens.
  mutating func introspect(_ request: OrgRequest) -> OrgAnswer {
    guard request.method == "POST" else { return .oauthError("invalid_request", "must use HTTP POST") }
    switch authenticate(request) {
    case .refused(var answer, let path):
      answer.status = 401
      return about(path, answer)
    case .client(_, let path, _):
      guard let session = session(request.form["token"] ?? ""),
        readings.introspectsAllTokens || session.path.app == path.app
      else { return about(path, .json(["active": false])) }
      let app = apps[session.path.app]
      return about(
        path,
        .json([
          "active": true, "scope": "api", "client_id": .string(session.clientID),
          "username": .string(app.runAsUsername), "sub": .string(identityURL(of: session.path)),
          "token_type": "access_token", "iat": seconds(session.issuedAt), "nbf": seconds(session.issuedAt),
          "exp": seconds(session.expiresAt),
        ]))
    }
  }

  /// `POST /services/oauth2/revoke` with `token` in the form, or GET with it in the query; no client authentication.
  mutating func revoke(_ request: OrgRequest) -> OrgAnswer {
    let token: String?
    switch request.method {
    case "POST": token = request.form["token"] ?? request.query["token"]
    case "GET": token = request.query["token"]
    default: return .oauthError("invalid_request", "must use HTTP POST")
    }
    guard let token, let session = session(token) else {
      return .oauthError("invalid_token", "invalid token: \(token == nil ? "missing" : "unknown")")
    }
    tokens[token] = nil
    return about(session.path, OrgAnswer(status: 200, contentType: nil))
  }

  /// `GET /services/oauth2/userinfo`.
  mutating func describeUser(_ request: OrgRequest) -> OrgAnswer {
    guard let token = request.bearerToken else {
      return OrgAnswer(status: 403, contentType: "text/html;charset=UTF-8", body: Data("Missing_OAuth_Token".utf8))
    }
    guard let session = session(token) else {
      return OrgAnswer(status: 403, contentType: "text/html;charset=UTF-8", body: Data("Bad_OAuth_Token".utf8))
    }
    let app = apps[session.path.app]
    guard app.conditions.showsUser else {
      return OrgAnswer(status: 403, contentType: "text/html;charset=UTF-8", body: Data("Bad_OAuth_Token".utf8))
    }
    return about(
      session.path,
      .json([
        "sub": .string(identityURL(of: session.path)), "user_id": .string(app.runAsUserID),
        "organization_id": .string(organizationID), "preferred_username": .string(app.runAsUsername),
        "nickname": .string(app.developerName), "name": .string(app.developerName),
        "email": .string(app.runAsUsername), "email_verified": true, "active": true, "user_type": "STANDARD",
        "language": "en_US", "locale": "en_US", "utcOffset": 0,
        "updated_at": "2026-01-01T00:00:00Z", "urls": ["rest": .string("\(baseURL)/services/data/v{version}/")],
      ]))
  }

  private func seconds(_ date: Date) -> JSONNode { .int(Int(date.timeIntervalSince1970)) }
}
