import FoundationEssentials

extension SimulatedOrg {
  /// Acts on a request and answers it.
  mutating func answer(_ request: OrgRequest) -> OrgAnswer {
    let segments = request.segments
    switch segments.prefix(2) {
    case ["services", "oauth2"] where segments.count == 3:
      switch segments[2] {
      case "token": return grantToken(request)
      case "introspect": return introspect(request)
      case "revoke": return revoke(request)
      case "userinfo": return describeUser(request)
      default: return .notFound
      }
    case ["services", "data"]:
      return segments.count == 2 ? listVersions(request) : answerData(request, segments: Array(segments.dropFirst(2)))
    default:
      return .notFound
    }
  }

  /// Everything under `/services/data/vNN.0`, which needs a session.
  private mutating func answerData(_ request: OrgRequest, segments: [String]) -> OrgAnswer {
    guard let version = Self.version(segments[0]),
      (Self.oldestVersion...max(Self.oldestVersion, conditions.newestVersion)).contains(version)
    else { return .notFound }
    guard let token = request.bearerToken, let session = session(token) else {
      return .error(401, "INVALID_SESSION_ID", "Session expired or invalid")
    }
    guard conditions.apiEnabled else {
      return .error(403, "API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization.")
    }
    guard !conditions.requestLimitExceeded else {
      return .error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    }
    let call = DataCall(
      request: request, version: version, rest: Array(segments.dropFirst()), token: token, session: session)
    var answer =
      switch call.rest.first {
      case "limits" where call.rest.count == 1: describeLimits(call)
      case "query" where call.rest.count == 1: query(call)
      case "apps" where call.rest.prefix(3) == ["apps", "oauth", "usage"] && call.rest.count == 3: listApps(call)
      case "apps" where call.rest.prefix(3) == ["apps", "oauth", "credentials"]: answerCredentials(call)
      default: OrgAnswer.notFound
      }
    answer.headers["Sforce-Limit-Info"] = "api-usage=\(requests.count)/100000"
    return answer
  }

  /// The session behind an access token, if it is still alive.
  func session(_ token: String) -> AccessToken? {
    guard let session = tokens[token], session.expiresAt > now else { return nil }
    return session
  }

  /// `v65.0` → 65.
  private static func version(_ segment: String) -> Int? {
    guard segment.hasPrefix("v"), segment.hasSuffix(".0") else { return nil }
    return Int(segment.dropFirst().dropLast(2))
  }
}

/// A call to a REST resource by a client with a session.
struct DataCall {
  let request: OrgRequest
  let version: Int
  /// The path after the version.
  let rest: [String]
  let token: String
  let session: AccessToken

  var root: String { "/services/data/v\(version).0" }
}
