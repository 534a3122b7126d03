import FoundationEssentials

/// The org's answer, and the app and consumer that it found the request to be about.
struct OrgAnswer: Sendable {
  var status: Int
  var contentType: String? = "application/json;charset=UTF-8"
  var headers: [String: String] = [:]
  var body = Data()
  var app: String?
  var consumer: String?
  /// Whether a token was granted to the primary pair; nil if none was granted.
  var isPrimary: Bool?

  static func json(_ node: JSONNode, status: Int = 200) -> OrgAnswer {
    OrgAnswer(status: status, body: node.data)
  }

  static let noContent = OrgAnswer(status: 204, contentType: nil)

  /// The shape of the OAuth endpoints (help.salesforce.com, "OAuth 2.0 error codes").
  static func oauthError(_ code: String, _ description: String, status: Int = 400) -> OrgAnswer {
    var answer = json(["error": .string(code), "error_description": .string(description)], status: status)
    answer.headers["Cache-Control"] = "no-store"
    return answer
  }

  /// The shape of the REST and Connect resources: a list with one error.
  static func error(_ status: Int, _ code: String, _ message: String) -> OrgAnswer {
    json([["message": .string(message), "errorCode": .string(code)]], status: status)
  }

  static let notFound = error(404, "NOT_FOUND", "The requested resource does not exist")

  static func notAllowed(_ method: String) -> OrgAnswer {
    error(405, "METHOD_NOT_ALLOWED", "HTTP Method '\(method)' not allowed")
  }
}
