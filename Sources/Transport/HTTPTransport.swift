/// Sends an HTTP request and returns its whole answer, whatever its status. Keeps no cookies and follows no redirects.
package protocol HTTPTransport: Sendable {
  /// The answer to `request`. An error's `mayHaveActed` says whether the server may have seen any of the request. A
  /// request with `isMutating` reaches the server at most once.
  func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse
}
