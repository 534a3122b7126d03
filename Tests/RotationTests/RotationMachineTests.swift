import Audit
import Rotation
import Testing

@Suite("The rotation machine")
struct RotationMachineTests {
  static let start = Timestamp(milliseconds: 1_795_000_000_000)

  /// The shortest series of events that leads to each state.
  static let ways: [RotationState: [RotationEvent]] = {
    var ways: [RotationState: [RotationEvent]] = [.ready: []]
    var open = [RotationState.ready]
    while let state = open.first {
      open.removeFirst()
      for event in RotationEvent.all {
        guard let next = state.after(event), ways[next] == nil, let way = ways[state] else { continue }
        ways[next] = way + [event]
        open.append(next)
      }
    }
    return ways
  }()

  /// A machine led to `state`, one second a step.
  static func machine(in state: RotationState) throws -> RotationMachine {
    var machine = RotationMachine()
    var time = start
    for event in try #require(ways[state]) {
      time = time + .seconds(1)
      try machine.apply(event, at: time, graceEnds: event == .verified ? time + .seconds(60) : nil)
    }
    #expect(machine.state == state)
    return machine
  }

  @Test("does what docs/rotation.md says, in every state and with every event", arguments: RotationState.allCases)
  func cells(state: RotationState) throws {
    let table = try TransitionTable()
    for event in RotationEvent.all {
      let expected = table.after(event, in: state)
      #expect(state.after(event)?.rawValue == expected, "\(state.rawValue) × \(event.name)")
      var machine = try Self.machine(in: state)
      let before = machine
      do {
        try machine.apply(event, at: Self.start, graceEnds: Self.start)
        #expect(machine.state.rawValue == expected, "\(state.rawValue) × \(event.name)")
      } catch {
        #expect(expected == nil && error.state == state && error.event == event)
        #expect(machine == before, "a refused event changed the machine")
      }
    }
  }

  @Test("allows no more transitions than the table has rows")
  func noMore() throws {
    let legal = RotationState.allCases.flatMap { state in RotationEvent.all.filter { state.after($0) != nil } }.count
    #expect(try TransitionTable().rows == legal)
  }

  @Test("can reach every state, and a final one from every state")
  func noDeadEnd() throws {
    #expect(Set(Self.ways.keys) == Set(RotationState.allCases))
    for state in RotationState.allCases {
      var reached: Set<RotationState> = [state]
      var grows = true
      while grows {
        let next = reached.union(reached.flatMap { from in RotationEvent.all.compactMap { from.after($0) } })
        grows = next != reached
        reached = next
      }
      #expect(reached.contains { $0.isFinal }, "\(state.rawValue)")
      #expect(state.isFinal == RotationEvent.all.allSatisfy { state.after($0) == nil })
    }
  }

  @Test(
    "takes the documented next action, accepts its own intent, and changes nothing in doing so",
    arguments: RotationState.allCases)
  func nextAction(state: RotationState) throws {
    let machine = try Self.machine(in: state)
    let copy = machine
    let now = Self.start + .seconds(30)
    let documented = try #require(try TransitionTable().actions[state])
    for _ in 1...3 {
      switch machine.nextAction(now: now) {
      case .ask(let step):
        #expect(documented.hasPrefix("ask: \(step.rawValue)"))
        #expect(state.after(.intended(step)) != nil)
      case .observe(let step):
        #expect(documented == "look: \(step.rawValue)")
        #expect(step.changesProvider && state.after(.lost(step)) == state && state.after(.postponed(step)) != nil)
      case .wait: #expect(state == .owed && documented.hasPrefix("wait until"))
      case .finished: #expect(state.isFinal && documented == "nothing; final")
      }
    }
    #expect(machine == copy)
  }

  @Test("proves a pair again before promotion if the proof is old or dated in the future")
  func agedProof() throws {
    let machine = try Self.machine(in: .validated)
    let proved = try #require(machine.provedAt)
    #expect(machine.nextAction(now: proved) == .ask(.promote))
    #expect(machine.nextAction(now: proved + RotationMachine.proofLifetime) == .ask(.promote))
    #expect(machine.nextAction(now: proved + RotationMachine.proofLifetime + .milliseconds(1)) == .ask(.validate))
    #expect(machine.nextAction(now: proved + .milliseconds(-1)) == .ask(.validate))
  }

  @Test("ends the grace to the millisecond, and a clock that is set back only lengthens it")
  func grace() throws {
    let machine = try Self.machine(in: .owed)
    let end = try #require(machine.graceEnds)
    #expect(machine.nextAction(now: end + .milliseconds(-1)) == .wait(until: end))
    #expect(machine.nextAction(now: end) == .ask(.retire))
    #expect(machine.nextAction(now: end + .seconds(-86_400)) == .wait(until: end))
  }

  @Test("reads back each event name, and no two are alike")
  func names() {
    for event in RotationEvent.all { #expect(RotationEvent(name: event.name) == event) }
    #expect(Set(RotationEvent.all.map(\.name)).count == RotationEvent.all.count)
    for stranger in [
      "", "begun", "stage", "validate.lost", "prove.lost", "verify.lost", "Staged", "staged ", "staged\0",
    ] {
      #expect(RotationEvent(name: stranger) == nil, "\(stranger)")
    }
  }
}
