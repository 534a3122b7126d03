import FoundationEssentials

/// `POST /services/oauth2/token` with `grant_type=client_credentials`
/// (help.salesforce.com, "OAuth 2.0 Client Credentials Flow").
extension SimulatedOrg {
  mutating func grantToken(_ request: OrgRequest) -> OrgAnswer {
    guard request.method == "POST" else { return .oauthError("invalid_request", "must use HTTP POST") }
    guard request.form["grant_type"] == "client_credentials" else {
      return .oauthError("unsupported_grant_type", "grant type not supported")
    }
    if conditions.isLocked { return .oauthError("inactive_org", "org locked") }
    switch authenticate(request) {
    case .refused(let answer, let path):
      return about(path, answer)
    case .client(let client, let path, let isPrimary):
      let answer = refusal(by: apps[path.app].conditions) ?? grant(to: client, at: path, isPrimary: isPrimary)
      return about(path, answer)
    }
  }

  /// Records in an answer which consumer it is about.
  func about(_ path: ConsumerPath?, _ answer: OrgAnswer) -> OrgAnswer {
    guard let path else { return answer }
    var answer = answer
    answer.app = apps[path.app].identifier
    answer.consumer = self[path].id
    return answer
  }

  private func refusal(by app: AppConditions) -> OrgAnswer? {
    if !app.tokenError.isEmpty {
      let parts = app.tokenError.split(separator: ": ", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      return .oauthError(parts[0], parts.count > 1 ? parts[1] : "")
    }
    if !app.clientCredentialsFlow {
      return switch readings.flowOffError {
      case .invalidGrant: .oauthError("invalid_grant", "client credentials flow not enabled")
      case .unsupportedGrantType: .oauthError("unsupported_grant_type", "grant type not supported")
      case .unauthorizedClient: .oauthError("unauthorized_client", "client credentials flow not enabled")
      }
    }
    switch app.runAsUser {
    case .missing: return .oauthError("invalid_grant", "no client credentials user enabled")
    case .inactive: return .oauthError("inactive_user", "user is inactive")
    case .active: break
    }
    if app.ipRestricted { return .oauthError("invalid_grant", "ip restricted or invalid login hours") }
    if !app.adminApproved {
      return .oauthError("invalid_app_access", "user is not admin approved to access this app")
    }
    if conditions.loginRateExceeded { return .oauthError("rate_limit_exceeded", "number of logins exceeded") }
    return nil
  }

  private mutating func grant(
    to client: ClientAuthentication, at path: ConsumerPath, isPrimary: Bool
  ) -> OrgAnswer {
    let token = OrgRandomness.accessToken(organization: organizationID)
    let issued = now
    tokens[token] = AccessToken(
      path: path, clientID: client.key, issuedAt: issued, expiresAt: issued.addingTimeInterval(Self.tokenLife))
    let issuedAt = String(Int64((issued.timeIntervalSince1970 * 1000).rounded(.down)))
    let identityURL = identityURL(of: path)
    let signature = TokenSignature.make(
      identityURL: identityURL, issuedAt: issuedAt,
      secret: signingSecret(own: client.secret, at: path, isPrimary: isPrimary))
    var answer = OrgAnswer.json([
      "access_token": .string(token), "signature": .string(signature),
      "scope": .string(apps[path.app].conditions.scopes),
      "instance_url": .string(conditions.instanceURL.isEmpty ? baseURL : conditions.instanceURL),
      "id": .string(identityURL), "token_type": "Bearer",
      "issued_at": .string(issuedAt), "token_format": "opaque", "api_instance_url": .string(baseURL),
    ])
    answer.headers["Cache-Control"] = "no-store"
    answer.isPrimary = isPrimary
    return answer
  }

  func identityURL(of path: ConsumerPath) -> String {
    "https://login.salesforce.com/id/\(organizationID)/\(apps[path.app].runAsUserID)"
  }

  private func signingSecret(own: String, at path: ConsumerPath, isPrimary: Bool) -> String {
    switch readings.signatureKey {
    case .ownSecret: own
    case .primarySecret: isPrimary ? own : self[path].primary?.secret ?? own
    case .wrong: "no secret of this consumer"
    }
  }
}
