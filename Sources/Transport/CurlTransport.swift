/// HTTP over libcurl: one thread, one multi handle, any number of callers.
///
/// The first `send` loads libcurl and starts the thread, so a command that never sends pays for neither.
package final class CurlTransport: HTTPTransport {
  private let loop: CurlLoop

  package init(_ configuration: TransportConfiguration = TransportConfiguration()) {
    loop = CurlLoop(configuration)
  }

  deinit { loop.stop(nil) }

  /// Loads libcurl now, which takes some milliseconds: for a command that is about to send. `send` reports a failure.
  package static func load() { CurlLoop.load() }

  /// Whether answers arrive on the calling thread. A task that this thread resumes has an answer to read.
  package static var isOnOwnThread: Bool { CurlLoop.isOnThread }

  /// Sends `request` once a connection is ready. Cancelling the calling task ends the exchange within a millisecond or so.
  package func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
    try request.checkHeaders()
    let ticket = loop.reserveTicket()
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { loop.start(request, ticket, $0) }
    } onCancel: {
      loop.cancel(ticket)
    }
    loop.release(ticket)
    return try result.get()
  }

  /// Ends every exchange as cancelled, closes the connections, and returns when the thread has wiped its stack and is
  /// ending. Later sends fail as cancelled.
  package func shutdown() async {
    await withCheckedContinuation { loop.stop($0) }
  }
}
