internal import CCurl
internal import Sodium

extension Exchange {
  /// What the caller gets for an exchange that ended with `result`.
  func outcome(of result: CURLcode) -> Result<HTTPResponse, TransportError> {
    guard result == CURLE_OK else { return .failure(failure(result)) }
    guard head.isComplete else { return .failure(error(.lost, "the answer was cut short")) }
    var status = 0
    ccurl_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
    guard (200...599).contains(status) else {
      return .failure(error(.protocolViolation, "answered with status \(status), expected 200 to 599"))
    }
    guard let body = try? takeBody() else {
      return .failure(error(.outOfResources, "no guarded memory for the answer"))
    }
    return .success(HTTPResponse(status: status, headers: head.headers, body: body))
  }

  /// The error of an exchange that the caller cancelled, or ended by shutting the transport down.
  func cancelled() -> TransportError { error(.cancelled, "cancelled before an answer") }

  private func failure(_ result: CURLcode) -> TransportError {
    if let refusal {
      switch refusal {
      case .answerTooLarge: return tooLarge(result)
      case .outOfResources: return error(.outOfResources, "no guarded memory for the answer", result)
      default: return error(.protocolViolation, "the answer's headers are too large, expected at most 64 KiB", result)
      }
    }
    switch result {
    case CURLE_FILESIZE_EXCEEDED: return tooLarge(result)
    case CURLE_OUT_OF_MEMORY where sends == 0: return error(.outOfResources, "libcurl is out of memory", result)
    case CURLE_OUT_OF_MEMORY:
      // libcurl also reports this for a header line over 100 kB.
      return error(.protocolViolation, "a header of the answer is larger than libcurl takes", result)
    case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CERTPROBLEM,
      CURLE_SSL_CIPHER, CURLE_SSL_CONNECT_ERROR:
      // A handshake that is cut short looks the same as one that is refused, and may succeed next time.
      return error(.tls, reason(result), result, isTransient: result == CURLE_SSL_CONNECT_ERROR)
    case CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL, CURLE_BAD_CONTENT_ENCODING:
      return error(.protocolViolation, "the answer is not http, or not within its limits", result)
    default:
      return error(sends == 0 ? .cannotConnect : .lost, reason(result), result)
    }
  }

  private func tooLarge(_ result: CURLcode) -> TransportError {
    error(.answerTooLarge, "the answer is too large, expected at most \(request.limits.answer) bytes", result)
  }

  private func error(
    _ code: TransportError.Code, _ found: String, _ result: CURLcode? = nil, isTransient: Bool? = nil
  ) -> TransportError {
    let host = request.endpoint.host
    // Counted before the first byte could leave. So at zero it is certain that nothing was sent; above, it is only
    // possible that something was.
    let sent = sends == 0 ? "nothing was sent" : "the request may have been acted on"
    return TransportError(
      code, host: host, "\(request.method.rawValue.lowercased()) to \(host): \(found), \(sent)",
      curlCode: result.map { Int($0.rawValue) }, mayHaveActed: sends > 0, isTransient: isTransient)
  }

  /// Our own words for libcurl's codes, because its texts may quote the server.
  private func reason(_ result: CURLcode) -> String {
    switch result {
    case CURLE_COULDNT_RESOLVE_HOST: "its name was not found"
    case CURLE_COULDNT_RESOLVE_PROXY: "the proxy's name was not found"
    case CURLE_COULDNT_CONNECT: "connection refused or unreachable"
    case CURLE_PROXY: "the proxy refused"
    case CURLE_OPERATION_TIMEDOUT: "no answer in time"
    case CURLE_SSL_CONNECT_ERROR: "tls could not be negotiated, expected tls 1.2 or later"
    case CURLE_SSL_CACERT_BADFILE: "the file of certificate authorities cannot be read"
    case CURLE_PEER_FAILED_VERIFICATION: "certificate not trusted (\(verification))"
    case CURLE_GOT_NOTHING, CURLE_ABORTED_BY_CALLBACK: "the connection closed without an answer"
    case CURLE_PARTIAL_FILE: "the answer was cut short"
    case CURLE_SEND_ERROR: "sending failed"
    case CURLE_RECV_ERROR: "receiving failed"
    default: "libcurl failed with code \(result.rawValue)"
    }
  }

  private var verification: String {
    var result = 0
    ccurl_get_long(easy, CURLINFO_SSL_VERIFYRESULT, &result)
    // 0 is a valid chain. 1 is libcurl's initial value, which remains if the name is wrong: it compares that first.
    guard result > 1, let text = ccurl_verify_text(result) else { return "it is for another host" }
    return String(cString: text)
  }
}
