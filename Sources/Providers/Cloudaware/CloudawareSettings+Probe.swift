import Rotation
import Sodium
import Transport

extension CloudawareSettings {
  /// `GET …/query?q=SELECT Id FROM object LIMIT 1`: the org sends at most one identifier, which is not looked at.
  /// Returns the status; nil if the settings name no object.
  func read(with token: SharedSecret, over transport: any HTTPTransport) async throws(ProviderError) -> Int? {
    guard let object = probe else { return nil }
    let path = "/services/data/v\(apiVersion)/query?q=SELECT+Id+FROM+\(object)+LIMIT+1"
    let answer = try await ManagementCall(transport: transport).ask(.get, domain.path(path), token: token)
    let status = answer.status
    let (code, _) = SalesforceClient.words(of: answer.body)
    let attempt = "\(domain.host): reading \(object) with the new token"
    let missing =
      "give the app's Run As user the permission Read on \(object) (profile or permission set), and"
      + " access to its namespace's package"
    switch status {
    case 200..<300: return status
    case 401:
      throw ProviderError(
        .notPermitted, "\(attempt) is refused: the token is not accepted (HTTP 401)",
        hint: "give the app the scope api, and its Run As user the permission API Enabled", status: status,
        step: .probe)
    case 403 where code == "REQUEST_LIMIT_EXCEEDED", 429:
      throw ProviderError(
        .limited, "\(attempt): too many requests", status: status, retryAfter: answer.retryAfter, step: .limits)
    case 403 where code.hasPrefix("API_"):
      throw ProviderError(
        .notPermitted, "\(attempt) is refused: the user may not use the API (HTTP 403)",
        hint: "give the Run As user of the app the permission API Enabled", status: status,
        step: code == "API_DISABLED_FOR_ORG" ? .org : .probe)
    case 400 where code == "INVALID_TYPE", 403:
      throw ProviderError(
        .notPermitted, "\(attempt) is refused: the Run As user cannot see that object (HTTP \(status))",
        hint: "\(missing); or correct setting probe if the object has another name", status: status, step: .probe)
    case 500...:
      throw ProviderError(
        .unreachable, "\(attempt): in trouble or under maintenance (HTTP \(status))", status: status,
        retryAfter: answer.retryAfter, step: .host)
    default:
      throw ProviderError(
        .configuration, "\(attempt) is answered with HTTP \(status)",
        hint: "check setting probe: an object's API name, as in CA10__CaAwsInstance__c", status: status, step: .probe)
    }
  }
}
