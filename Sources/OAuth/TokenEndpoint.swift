import JSON
import Sodium
package import Transport

/// A server's token endpoint (RFC 6749 §3.2).
package struct TokenEndpoint: Sendable {
  private let endpoint: Endpoint
  private let transport: any HTTPTransport

  package init(_ endpoint: Endpoint, over transport: any HTTPTransport) {
    self.endpoint = endpoint
    self.transport = transport
  }

  /// Asks for a fresh token. Nothing is cached: every call asks the server, so a grant proves the pair as it is now.
  /// With `overNewConnection` the request goes out on a connection made for it, which another server may answer.
  package func grant(
    _ request: TokenRequest, overNewConnection: Bool = false
  ) async throws(OAuthError) -> TokenAnswer {
    let response: HTTPResponse
    do {
      // Sending a grant request twice makes two tokens and does no harm, so it may be sent again on a fresh connection.
      var http = HTTPRequest(
        .post, endpoint, headers: [("Accept", "application/json")], secretHeaders: request.headers,
        body: request.body, isMutating: false)
      http.needsNewConnection = overNewConnection
      response = try await transport.send(http)
    } catch {
      throw OAuthError(error)
    }
    guard response.status == 200 else { throw Self.refusal(response) }
    do {
      return try TokenAnswer(status: response.status, date: response.header("date"), body: response.body)
    } catch let error as JSONError {
      throw OAuthError(malformed: error.description, status: response.status)
    } catch {
      throw OAuthError(malformed: "it could not be read", status: response.status)
    }
  }

  /// Reads an error answer (RFC 6749 §5.2). Of any other answer only the status is kept, and how long to wait.
  private static func refusal(_ response: HTTPResponse) -> OAuthError {
    let members: (error: String?, description: String) = response.body.secret.withBytes { bytes in
      guard let root = try? JSONNode(reading: bytes) else { return (nil, "") }
      return (
        (try? root["error"]?.text(in: bytes)) ?? nil, ((try? root["error_description"]?.text(in: bytes)) ?? nil) ?? ""
      )
    }
    return OAuthError(
      status: response.status, error: members.error.flatMap(printable),
      errorDescription: String(members.description.prefix(512)).lowercased(), retryAfter: response.retryAfter)
  }

  private static func printable(_ error: String) -> String? {
    let isPlain = error.utf8.allSatisfy { byte in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || ".-_".utf8.contains(byte)
    }
    return isPlain && (1...64).contains(error.utf8.count) ? error : nil
  }
}
