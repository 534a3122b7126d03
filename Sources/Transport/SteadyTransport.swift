internal import CCurl

/// Another transport's requests, of which those that follow one on a new connection stay on that one.
///
/// A connection that is made for a request may lead to another of the servers behind an address. What the same host is asked next then
/// goes to that server, too, as far as one connection is one server's. Where it was closed meanwhile the next is new as well: never one
/// that was open before.
package final class SteadyTransport: HTTPTransport {
  private let base: any HTTPTransport
  private let newest = Locked<OwnConnections?>(nil)

  package init(_ base: any HTTPTransport) { self.base = base }

  /// Sends `request` by the other transport, with that one's limits and errors.
  package func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
    var steady = request
    steady.connections = newest.withLock { newest in
      if request.needsNewConnection { newest = OwnConnections(host: request.endpoint.host) }
      return newest?.host == request.endpoint.host ? newest : nil
    }
    return try await base.send(steady)
  }
}

/// Connections that the requests which name it share with no others.
final class OwnConnections: Sendable {
  let host: String
  // Used by the loop's thread alone, until nothing refers to it any more.
  private let share = Locked<UnsafeMutableRawPointer?>(nil)

  init(host: String) { self.host = host }

  deinit { share.withLock { if let share = $0 { ccurl_share_cleanup(share) } } }

  /// libcurl's handle, made when it is first needed: libcurl is loaded by then. Nil if there is no memory for it.
  func handle() -> UnsafeMutableRawPointer? {
    share.withLock { share in
      if share == nil { share = ccurl_share_connections() }
      return share
    }
  }
}
