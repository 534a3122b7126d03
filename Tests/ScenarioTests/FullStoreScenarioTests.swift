import OrgSimulator
import Rotation
import Storage
import Testing
import Vault

@Suite("A store that cannot write")
struct FullStoreScenarioTests {
  @Test("stops a run, which asks the org for nothing that it cannot record", arguments: 0...18)
  func full(writes: Int) async throws {
    try await Scenario.with(policy: ["grace": "0s"]) { scenario in
      let result = await scenario.attempt(over: FullStore(scenario.store, after: writes))
      try await scenario.checkLaws("\(writes) writes: \(result)", died: true)
      if case .failure(let error) = result {
        let isStore = (error as? StorageError)?.code == .cannotWrite
        #expect(isStore, "\(writes) writes: the trouble is the store's: \(error)")
      }
      // The first write takes the lease and begins, the second opens the administrator's pair, the third is the intent
      // to stage.
      if writes < 3 {
        #expect(scenario.server.requests.allSatisfy { $0.method == "GET" || $0.path.hasSuffix("/token") })
      }
      if writes < 2 {
        #expect(scenario.server.requests.isEmpty)
        guard case .failure(let error as StorageError) = result, error.code == .cannotWrite else {
          Issue.record("\(result)")
          return
        }
      }
      let next = await scenario.attempt()
      #expect(next.isSettled, "\(writes) writes: \(next)")
      try await scenario.checkLaws("\(writes) writes, then \(next)")
    }
  }

  @Test("that wrote but says that it did not is reported as the failure, and nothing is done twice", arguments: 0...12)
  func unconfirmed(writes: Int) async throws {
    try await Scenario.with(policy: ["grace": "0s"]) { scenario in
      let store = FullStore(scenario.store, after: writes, failing: 1, writesAll: true)
      let result = await scenario.attempt(over: store)
      if case .failure(let error) = result {
        let isStore = (error as? StorageError)?.code == .cannotWrite
        #expect(isStore, "\(writes) writes: \(error)")
      }
      try await scenario.catchUp()
      try await scenario.checkLaws("\(writes) writes: \(result)", died: true)
      let next = await scenario.attempt()
      #expect(next.isSettled, "\(writes) writes: \(next)")
      try await scenario.checkLaws("\(writes) writes, then \(next)")
    }
  }

  @Test("for only a moment loses no new pair: the pair is written when the run ends", arguments: 0...12)
  func fullForAMoment(writes: Int) async throws {
    try await Scenario.with(policy: ["grace": "0s"]) { scenario in
      let result = await scenario.attempt(over: FullStore(scenario.store, after: writes, failing: 1))
      try await scenario.checkLaws("\(writes) writes: \(result)", died: true)
      if scenario.acted("POST", "/staged") > 0 {
        #expect(try await scenario.credential().versions.count == 2, "\(writes) writes: \(result)")
      }
      let active = try await scenario.credential().version(in: .active)?.number
      let next = await scenario.attempt()
      #expect(next.isSettled, "\(writes) writes: \(next)")
      // If the new pair was active by then, the next run may be another rotation.
      if active == 1 { #expect(scenario.acted("POST", "/staged") <= 1, "\(writes) writes") }
      try await scenario.checkLaws("\(writes) writes, then \(next)")
    }
  }
}
