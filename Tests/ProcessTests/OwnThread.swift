import Dispatch

/// Blocking work on a thread of its own: the few threads that tests share would wait for one another.
struct OwnThread<Value: Sendable>: Sendable {
  private let results: AsyncStream<Result<Value, any Error>>

  fileprivate init(_ work: @escaping @Sendable () throws -> Value) {
    let (results, sink) = AsyncStream.makeStream(of: Result<Value, any Error>.self)
    self.results = results
    DispatchQueue(label: "test").async {
      sink.yield(Result { try work() })
      sink.finish()
    }
  }

  /// What the work returned or threw. May be read once.
  func value() async throws -> Value {
    for await result in results { return try result.get() }
    throw CancellationError()
  }
}

/// Starts `work` at once.
func onOwnThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) -> OwnThread<Value> {
  OwnThread(work)
}
