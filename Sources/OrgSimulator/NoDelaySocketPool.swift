import FlyingFox
import FlyingSocks
import Glibc

/// The library's socket pool, with Nagle's algorithm off. FlyingFox sends head and body in two writes, so the client's
/// delayed acknowledgement would cost 40 ms on every answer of a kept connection.
struct NoDelaySocketPool: AsyncSocketPool {
  private let pool: any AsyncSocketPool = HTTPServer.defaultPool()

  func prepare() async throws { try await pool.prepare() }

  func run() async throws { try await pool.run() }

  func suspendSocket(_ socket: Socket, untilReadyFor events: Socket.Events) async throws {
    // The first socket to come here is the listening one, from which Linux passes the option on.
    var on: Int32 = 1
    setsockopt(socket.file.rawValue, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    try await pool.suspendSocket(socket, untilReadyFor: events)
  }
}
