import Synchronization

/// Open connections that nobody uses now.
final class SpareConnections: Sendable {
  private let connections = Mutex<[Connection]>([])

  func add(_ connection: Connection) { connections.withLock { $0.append(connection) } }

  /// A connection to read on; nil if there is none.
  func take() -> Connection? { connections.withLock { $0.popLast() } }

  /// A connection that can become the writer's; nil if there is none.
  func takeWritable() -> Connection? {
    connections.withLock { connections in
      connections.firstIndex { $0.isWritable }.map { connections.remove(at: $0) }
    }
  }
}
