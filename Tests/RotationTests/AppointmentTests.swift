import Audit
import Testing
import Vault

@testable import Rotation

@Suite("When a pair is overdue")
struct AppointmentTests {
  private let schedule = RotationSchedule { TimeZoneRules(named: $0) }

  private func rotated(_ name: String, at time: String) throws -> Credential {
    var partner = try scheduledCredential([:], name: name)
    _ = try partner.addStaged(handle: nil, expires: nil, now: minute(time))
    try partner.promoteStaged(now: minute(time))
    return partner
  }

  private func expect(
    _ policy: [String: String], partners: [Credential] = [], journal: RotationJournal? = nil, begins: String,
    overdue: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let found = schedule.appointment(
      for: try scheduledCredential(["max-age": "90d"].merging(policy) { $1 }), journal: journal, partners: partners)
    let expected = RotationSchedule.Appointment(begins: try minute(begins), overdue: try minute(overdue))
    #expect(found == expected, sourceLocation: sourceLocation)
  }

  @Test("without a maximum age there is no appointment")
  func unscheduled() throws {
    #expect(schedule.appointment(for: try scheduledCredential([:]), journal: nil, partners: []) == nil)
  }

  @Test("without a window a pair is overdue an hour after it is due")
  func plain() throws { try expect([:], begins: "2026-04-01T00:00", overdue: "2026-04-01T01:00") }

  @Test("a pair that was made in the future is overdue now: its age is not known, and no schedule finds it")
  func misdated() throws {
    let credential = try scheduledCredential(["max-age": "90d"])
    func overdue(_ time: String) throws -> Timestamp? {
      try schedule.appointment(for: credential, journal: nil, partners: [], now: minute(time))?.overdue
    }
    #expect(try overdue("2025-01-01T00:00") == minute("2025-01-01T00:00"))
    #expect(try overdue("2025-12-31T23:30") == minute("2026-04-01T01:00"))
    var leaked = credential
    leaked.noteLeak(incident: "x", version: 1, now: try minute("2026-03-01T00:00"))
    let found = try schedule.appointment(for: leaked, journal: nil, partners: [], now: minute("2026-02-01T00:00"))
    #expect(found?.overdue == (try minute("2026-02-01T00:00")), "or leaked then")
  }

  @Test("with a window a pair is overdue at the end of the first window that left it an hour")
  func window() throws {
    // 2026-04-01 is a Wednesday. Due before the window, within it, and shortly before its end.
    try expect(["window": "daily 01:00-05:00"], begins: "2026-04-01T01:00", overdue: "2026-04-01T05:00")
    try expect(["window": "daily 22:00-02:00"], begins: "2026-04-01T00:00", overdue: "2026-04-01T02:00")
    try expect(["window": "daily 22:00-00:30"], begins: "2026-04-01T00:00", overdue: "2026-04-02T00:30")
    try expect(["window": "tue 01:00-05:00"], begins: "2026-04-07T01:00", overdue: "2026-04-07T05:00")
    // A window shorter than an hour counts if the pair is due throughout.
    try expect(["window": "daily 01:00-01:30"], begins: "2026-04-01T01:00", overdue: "2026-04-01T01:30")
  }

  @Test("a leaked pair is overdue an hour after the leak was noted, whatever its window, partners and age")
  func leaked() throws {
    let partner = try rotated("a", at: "2026-04-01T01:10")
    for policy in [["window": "sat 01:00-02:00"], ["window": "sat 01:00-02:00", "max-age": "90d"], [:]] {
      var leaked = try scheduledCredential(policy)
      leaked.noteLeak(incident: "x", version: 1, now: try minute("2026-04-01T12:00"))
      let found = schedule.appointment(for: leaked, journal: nil, partners: [partner])
      let expected = RotationSchedule.Appointment(
        begins: try minute("2026-04-01T12:00"), overdue: try minute("2026-04-01T13:00"))
      #expect(found == expected)
    }
  }

  @Test("a window that a partner used does not count, nor does the day after the partner's rotation")
  func partners() throws {
    let window = ["window": "daily 01:00-05:00"]
    let first = try rotated("a", at: "2026-04-01T01:10")
    let second = try rotated("b", at: "2026-04-02T01:10")
    try expect(window, partners: [first], begins: "2026-04-02T01:00", overdue: "2026-04-02T05:00")
    try expect(window, partners: [second, first], begins: "2026-04-03T01:00", overdue: "2026-04-03T05:00")
    try expect(window, partners: [second], begins: "2026-04-01T01:00", overdue: "2026-04-01T05:00")
    try expect([:], partners: [first], begins: "2026-04-01T00:00", overdue: "2026-04-01T01:00")
    let before = try rotated("a", at: "2026-03-31T20:00")
    try expect([:], partners: [before], begins: "2026-04-01T20:00", overdue: "2026-04-01T21:00")
  }

  @Test("nothing is overdue while partners hold it back, nor before the time to begin after that is over")
  func heldByPartners() throws {
    func overdue(
      _ standing: RotationSchedule.Standing?, _ policy: [String: String] = [:], expires: String? = nil,
      now: String = "2026-04-02T00:00"
    ) throws -> Timestamp? {
      var credential = try scheduledCredential(["max-age": "90d"].merging(policy) { $1 })
      credential.setExpiry(of: 1, try expires.map(minute))
      return try schedule.appointment(
        for: credential, journal: nil, partners: [], standing: standing, now: minute(now))?.overdue
    }
    let until = try minute("2026-04-02T12:00")
    for obstacle in [RotationSchedule.Obstacle.together(with: "a"), .turn(of: "a")] {
      #expect(try overdue(.held(until: until, obstacle)) == minute("2026-04-02T13:00"))
      #expect(try overdue(.held(until: nil, obstacle)) == minute("2026-04-02T01:00"))
      #expect(
        try overdue(.held(until: until, obstacle), ["window": "daily 01:00-05:00"]) == minute("2026-04-03T05:00"))
      // Not so long that the pair ends.
      let ending = try #require(try overdue(.held(until: until, obstacle), expires: "2026-04-02T06:00"))
      #expect(try ending < minute("2026-04-02T06:00"))
    }
    for standing in [.due(.age), .held(until: until, .attempts(1)), nil] as [RotationSchedule.Standing?] {
      #expect(try overdue(standing) == minute("2026-04-01T01:00"))
    }
  }

  @Test("a partner that was never rotated uses no window")
  func newPartner() throws {
    var partner = try scheduledCredential([:], name: "new")
    partner.policy.maxAge = nil
    try expect(["max-age": "1h"], partners: [partner], begins: "2026-01-01T01:00", overdue: "2026-01-01T02:00")
  }

  @Test("nothing is overdue while the replaced pair is in its grace")
  func grace() throws {
    var journal = RotationJournal(beginning: 1, at: try minute("2026-03-31T00:00"))
    let events: [RotationEvent] = [
      .intended(.stage), .staged, .intended(.validate), .validated, .intended(.promote), .promoted, .intended(.verify),
    ]
    for event in events { try journal.append(event, at: minute("2026-03-31T00:00"), graceEnds: nil) }
    try journal.append(.verified, at: minute("2026-03-31T00:00"), graceEnds: minute("2026-04-03T00:00"))
    #expect(journal.began == (try minute("2026-03-31T00:00")))
    try expect([:], journal: journal, begins: "2026-04-03T00:00", overdue: "2026-04-03T01:00")
  }
}

private func minute(_ text: String) throws -> Timestamp { try #require(Timestamp(text + ":00.000Z")) }
