import Foundation
import OrgSimulator
import Testing

@Suite struct FaultTests {
  @Test(arguments: [(OrgFault.Kind.dropBefore, false), (.dropAfter, true), (.truncated, true)])
  func `a broken connection leaves it open whether the org acted`(kind: OrgFault.Kind, acted: Bool) async throws {
    try await withOrg { bench in
      bench.server.add(OrgFault(kind, method: "POST", path: "*/staged"))
      await #expect(throws: (any Error).self) { try await bench.stage() }
      #expect((bench.now?.slot != nil) == acted)
      let record = try #require(bench.server.requests.last)
      #expect(bench.server.requests.count == 1)
      #expect(record.acted == acted && record.fault == kind)
      #expect(try await bench.call("GET", bench.path + "/staged").status == 200)
    }
  }

  @Test(arguments: [
    (OrgFault.Kind.tooManyRequests, 429), (.serverError, 500), (.unavailable, 503), (.maintenancePage, 503),
  ])
  func `a refusal by the platform does not act`(kind: OrgFault.Kind, status: Int) async throws {
    try await withOrg { bench in
      bench.server.add(OrgFault(kind, path: "*/staged", seconds: 7))
      let answer = try await bench.stage()
      #expect(answer.status == status)
      #expect(bench.now?.slot == nil)
      #expect((answer.headers["retry-after"] == "7") == (status == 429))
      #expect((answer.list.isEmpty) == (kind == .maintenancePage))
      #expect(try await bench.stage().status == 201)
    }
  }

  @Test(arguments: [OrgFault.Kind.garbage, .htmlPage, .wrongTypes, .empty, .huge])
  func `an absurd answer has acted`(kind: OrgFault.Kind) async throws {
    try await withOrg { bench in
      bench.server.add(OrgFault(kind, method: "POST", bytes: 1 << 20))
      let answer = try await bench.stage()
      #expect(answer.status == 200 && answer.staged.isEmpty)
      #expect((answer.body.count == 1 << 20) == (kind == .huge))
      #expect(bench.now?.slot != nil)
    }
  }

  @Test func `a slow answer comes late, after the act`() async throws {
    try await withOrg { bench in
      bench.server.add(OrgFault(.slow, method: "POST", seconds: 0.2))
      let start = ContinuousClock.now
      let answer = try await bench.stage()
      #expect(answer.status == 201)
      #expect(ContinuousClock.now - start >= .milliseconds(200))
    }
  }

  @Test func `a fault strikes the requests it is ordered for`() async throws {
    try await withOrg { bench in
      bench.server.add(OrgFault(.serverError, method: "GET", path: "*/staged", skip: 1, count: 2))
      var statuses: [Int] = []
      for _ in 0..<4 { statuses.append(try await bench.call("GET", bench.path + "/staged").status) }
      #expect(statuses == [200, 500, 500, 200])
      bench.server.add(OrgFault(.serverError, method: "POST", path: "*/staged", acts: true))
      #expect(try await bench.stage().status == 500)
      #expect(bench.now?.slot != nil)
      bench.server.add(OrgFault(.unavailable, count: nil))
      for _ in 0..<3 { #expect(try await bench.call("GET", bench.path).status == 503) }
      bench.server.clearFaults()
      #expect(try await bench.call("GET", bench.path).status == 200)
    }
  }

  @Test func `the control surface sets clock, readings, conditions and faults`() async throws {
    try await withOrg { bench in
      func control(_ method: String, _ route: String, _ body: String? = nil) async throws -> OrgClient.Answer {
        try await bench.client.send(method, "/__org/\(route)", body: body)
      }
      #expect(try await control("POST", "clock", #"{"fixed":"2030-01-01T00:00:00Z"}"#).text("now").hasPrefix("2030"))
      #expect(try await control("POST", "clock", #"{"advance":86400}"#).text("now") == "2030-01-02T00:00:00Z")
      #expect(try await control("POST", "readings", #"{"idLength":18,"stateCase":"lower"}"#).status == 200)
      #expect(bench.server.state.readings.stateCase == .lower)
      #expect(try await control("POST", "readings", #"{"nothing":1}"#).status == 400)
      #expect(try await control("POST", "conditions", #"{"isLocked":true}"#).status == 200)
      let app = #"{"app":"\#(bench.app.identifier)","runAsUser":"inactive"}"#
      #expect(try await control("POST", "conditions", app).text("runAsUser") == "inactive")
      let fault = #"[{"kind":"dropAfter","method":"POST","path":"*/token","count":null}]"#
      #expect(try await control("POST", "faults", fault).list.count == 1)
      await #expect(throws: (any Error).self) { try await bench.client.token("key", "secret") }
      #expect(try await control("DELETE", "faults").list.isEmpty)
      #expect(try await control("GET", "requests").list.first?["acted"] as? Bool == false)
      let state = try await control("GET", "state")
      #expect((state.object["apps"] as? [Any])?.count == 2)
      let pair = try #require(bench.now?.primary)
      #expect(try await control("GET", "issued").list.contains { $0["secret"] as? String == pair.secret })
      let accepts = try await control("POST", "accepts", #"{"key":"\#(pair.key)","secret":"\#(pair.secret)"}"#)
      #expect(accepts.object["accepted"] as? Bool == true)
    }
  }
}
