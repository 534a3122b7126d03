import FlyingFox
import FlyingSocks
import FoundationEssentials
import Synchronization

/// A Salesforce-shaped org that answers over HTTP on loopback, as badly as it is told to.
///
/// Everything it does follows public documentation; where that is silent or contradicts itself, `OrgReadings` decides.
/// One lock covers the org, so that requests act one after another and every look inside is consistent.
package final class SimulatorServer: Sendable {
  private struct Listening {
    let server: HTTPServer
    let running: Task<Void, Never>
  }

  private let org: Mutex<SimulatedOrg>
  private let listening = Mutex<Listening?>(nil)

  package init(
    layout: OrgLayout = OrgLayout(), readings: OrgReadings = OrgReadings(), conditions: OrgConditions = OrgConditions(),
    clock: OrgClock = .real
  ) {
    org = Mutex(SimulatedOrg(layout: layout, readings: readings, conditions: conditions, clock: clock))
  }

  /// Listens on 127.0.0.1 and returns the base URL; port 0 takes any free port.
  package func start(port: UInt16 = 0) async throws -> String {
    let server = HTTPServer(
      config: .init(
        // Faults decide how slow an answer is; the library's own time limit must never come first.
        address: try .inet(ip4: "127.0.0.1", port: port), timeout: 86_400, pool: NoDelaySocketPool(), logger: .disabled),
      handler: ClosureHTTPHandler { [self] in try await handle($0) })
    let (outcomes, report) = AsyncStream.makeStream(of: Result<Void, any Error>.self)
    let running = Task {
      do { try await server.run() } catch { report.yield(.failure(error)) }
    }
    Task {
      do {
        try await server.waitUntilListening()
        report.yield(.success(()))
      } catch { report.yield(.failure(error)) }
    }
    for await outcome in outcomes {
      try outcome.get()
      break
    }
    guard case .ip4(_, let bound)? = await server.listeningAddress else { throw SocketError.disconnected }
    let url = "http://127.0.0.1:\(bound)"
    org.withLock { $0.baseURL = url }
    listening.withLock { $0 = Listening(server: server, running: running) }
    return url
  }

  /// Stops listening and closes every connection. The org keeps its state and can be started again.
  package func stop() async {
    let stopped = listening.withLock { current -> Listening? in
      defer { current = nil }
      return current
    }
    guard let stopped else { return }
    await stopped.server.stop()
    await stopped.running.value
  }

  /// Returns once the server has stopped, for a process that only serves.
  package func untilStopped() async {
    await listening.withLock { $0?.running }?.value
  }

  /// Looks at the org or changes it in one step between two requests.
  func withOrg<Result: Sendable>(_ body: @Sendable (inout SimulatedOrg) -> Result) -> Result {
    org.withLock { body(&$0) }
  }

  private func handle(_ request: HTTPRequest) async throws -> HTTPResponse {
    let received = OrgRequest(
      method: request.method.rawValue.uppercased(), path: request.path,
      query: Dictionary(request.query.map { ($0.name, $0.value) }, uniquingKeysWith: { _, last in last }),
      authorization: request.headers[.authorization],
      hasLength: request.headers[.contentLength] != nil || request.headers[.transferEncoding] != nil,
      body: try await request.bodyData)
    if received.path.hasPrefix(SimulatedOrg.controlPrefix) {
      return FaultyResponse.plain(withOrg { $0.control(received) })
    }
    return try await FaultyResponse.make(withOrg { $0.receive(received) })
  }
}
