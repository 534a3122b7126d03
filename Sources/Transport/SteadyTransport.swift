internal import CCurl

/// Sends through another transport, and keeps the requests that follow one on a new connection on that connection.
///
/// A connection made for one request may lead to another of the servers behind an address. Later requests to the same
/// host then go to that server too, as far as a connection belongs to one server. If it was closed meanwhile, the next
/// one is new as well, never one that was open before.
package final class SteadyTransport: HTTPTransport {
  private let base: any HTTPTransport
  private let newest = Locked<OwnConnections?>(nil)

  package init(_ base: any HTTPTransport) { self.base = base }

  /// Sends `request` through the other transport, with that one's limits and errors.
  package func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
    var steady = request
    steady.connections = newest.withLock { newest in
      if request.needsNewConnection { newest = OwnConnections(host: request.endpoint.host) }
      return newest?.host == request.endpoint.host ? newest : nil
    }
    return try await base.send(steady)
  }
}

/// Connections that only the requests that name this object use.
final class OwnConnections: Sendable {
  let host: String
  // Used only by the loop's thread, until nothing refers to it any more.
  private let share = Locked<UnsafeMutableRawPointer?>(nil)

  init(host: String) { self.host = host }

  deinit { share.withLock { if let share = $0 { ccurl_share_cleanup(share) } } }

  /// libcurl's handle, made when first needed: by then libcurl is loaded. Nil if there is no memory for it.
  func handle() -> UnsafeMutableRawPointer? {
    share.withLock { share in
      if share == nil { share = ccurl_share_connections() }
      return share
    }
  }
}
