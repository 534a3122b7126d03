import Foundation
import OrgSimulator
import Testing

@Suite struct ServerTests {
  @Test func `a taken port is an error`() async throws {
    let first = SimulatorServer()
    let url = try await first.start()
    let port = try #require(UInt16(url.split(separator: ":").last ?? ""))
    let second = SimulatorServer()
    await #expect(throws: (any Error).self) { try await second.start(port: port) }
    await first.stop()
  }

  @Test func `an org keeps its state over a stop and a start`() async throws {
    let server = SimulatorServer(layout: OrgLayout(apps: 2, consumersPerApp: 3))
    _ = try await server.start()
    let apps = server.integrationApps
    #expect(apps.count == 2 && apps.allSatisfy { $0.consumers.count == 3 })
    await server.stop()
    let client = OrgClient(try await server.start())
    #expect(server.integrationApps == apps)
    let answer = try await client.token(apps[1].consumers[2].primary)
    #expect(answer.status == 200)
    await server.stop()
  }

  @Test func `stopping does not wait for a slow answer`() async throws {
    let server = SimulatorServer()
    let client = OrgClient(try await server.start())
    server.add(OrgFault(.slow, seconds: 60))
    async let answer = client.send("GET", "/services/data")
    while server.requests.isEmpty { await Task.yield() }
    let start = ContinuousClock.now
    await server.stop()
    #expect(ContinuousClock.now - start < .seconds(10))
    _ = try? await answer
  }

  @Test func `of many requests at once exactly one takes the slot`() async throws {
    try await withOrg { bench in
      let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<16 { group.addTask { try await bench.stage().status } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(statuses.count { $0 == 201 } == 1 && statuses.count { $0 == 400 } == 15)
      #expect(bench.server.requests.count { $0.acted } == 1)
      #expect(bench.server.requests.allSatisfy { $0.consumer == bench.consumerID })
    }
  }

  @Test func `an org announces itself in one line`() async throws {
    try await withOrg { bench in
      let line = bench.server.state.announcement()
      #expect(!line.contains("\n"))
      let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      #expect(object["baseURL"] as? String == bench.client.base)
      let apps = try #require(object["apps"] as? [[String: Any]])
      let consumers = try #require(apps.first?["consumers"] as? [[String: Any]])
      #expect(consumers.first?["secret"] as? String == bench.now?.primary?.secret)
    }
  }
}
