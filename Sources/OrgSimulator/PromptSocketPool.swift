import FlyingFox
import FlyingSocks
import Glibc

/// The library's socket pool, with Nagle's algorithm off. FlyingFox sends head and body in two writes, which would cost
/// the client's delayed acknowledgement, 40 ms, on every answer of a kept connection.
struct PromptSocketPool: AsyncSocketPool {
  private let pool: any AsyncSocketPool = HTTPServer.defaultPool()

  func prepare() async throws { try await pool.prepare() }

  func run() async throws { try await pool.run() }

  func suspendSocket(_ socket: Socket, untilReadyFor events: Socket.Events) async throws {
    // Linux hands the option down from the listening socket to those it accepts; only that one waits for a connection
    // before anything else.
    var on: Int32 = 1
    setsockopt(socket.file.rawValue, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    try await pool.suspendSocket(socket, untilReadyFor: events)
  }
}
