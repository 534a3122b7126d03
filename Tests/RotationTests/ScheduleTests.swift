import Audit
import Sodium
import Testing
import Vault

@testable import Rotation

@Suite("What is due")
struct ScheduleTests {
  private let schedule = RotationSchedule { TimeZoneRules(named: $0) }
  private let added = moment("2026-01-01T00:00:00.000Z")

  private func credential(_ policy: [String: String], name: String = "crm") throws -> Credential {
    var rules = Policy()
    for (key, value) in policy { try rules.set(key, to: value) }
    let id = try #require(Identifier("00112233445566778899aabbccddeeff"))
    return Credential(
      id: id, name: name, provider: "salesforce", settings: [:], policy: rules, admin: name,
      keyID: String(repeating: "0", count: 32),
      created: added)
  }

  @Test("nothing is due without a greatest age")
  func unscheduled() throws {
    #expect(schedule.standing(of: try credential([:]), journal: nil, partners: [], now: added) == .unscheduled)
  }

  @Test("a pair is due when its value reaches the greatest age, and not a moment before")
  func age() throws {
    let credential = try credential(["max-age": "90d"])
    let due = moment("2026-04-01T00:00:00.000Z")
    let before = schedule.standing(
      of: credential, journal: nil, partners: [], now: Timestamp(milliseconds: due.milliseconds - 1))
    #expect(before == .waiting(until: due, .age))
    #expect(schedule.standing(of: credential, journal: nil, partners: [], now: due) == .due(.age))
  }

  @Test("jitter brings the moment forward, by the same share each time it is asked")
  func jitter() throws {
    let credential = try credential(["max-age": "90d", "jitter": "10d"])
    let limit = try #require(schedule.ageLimit(of: credential))
    #expect(limit <= moment("2026-04-01T00:00:00.000Z") && limit > moment("2026-03-22T00:00:00.000Z"))
    #expect(schedule.ageLimit(of: credential) == limit)
  }

  @Test("a due pair waits for its window")
  func window() throws {
    // 2026-04-01 is a Wednesday.
    let credential = try credential(["max-age": "90d", "window": "mon-fri 01:00-05:00"])
    let midnight = moment("2026-04-01T00:30:00.000Z")
    let opens = moment("2026-04-01T01:00:00.000Z")
    #expect(
      schedule.standing(of: credential, journal: nil, partners: [], now: midnight) == .held(until: opens, .window))
    #expect(schedule.standing(of: credential, journal: nil, partners: [], now: opens) == .due(.age))
    let saturday = moment("2026-04-04T02:00:00.000Z")
    #expect(
      schedule.standing(of: credential, journal: nil, partners: [], now: saturday)
        == .held(until: moment("2026-04-06T01:00:00.000Z"), .window))
  }

  @Test("a window past midnight belongs to the day it begins on")
  func pastMidnight() throws {
    let window = try #require(RotationWindow("fri 22:00-02:00"))
    #expect(window.opening(at: moment("2026-04-04T01:59:00.000Z"), in: .utc) == moment("2026-04-03T22:00:00.000Z"))
    #expect(window.opening(at: moment("2026-04-04T02:00:00.000Z"), in: .utc) == nil)
    #expect(window.opening(at: moment("2026-04-03T01:00:00.000Z"), in: .utc) == nil)
  }

  @Test("a window follows the clocks of its zone")
  func zones() throws {
    guard let zone = TimeZoneRules(named: "Europe/Berlin") else { return }
    let window = try #require(RotationWindow("daily 01:00-05:00 Europe/Berlin"))
    #expect(window.opening(at: moment("2026-01-15T00:00:00.000Z"), in: zone) == moment("2026-01-15T00:00:00.000Z"))
    #expect(window.opening(at: moment("2026-07-15T00:00:00.000Z"), in: zone) == moment("2026-07-14T23:00:00.000Z"))
    // The night of 2026-03-29 has no hour from 2 to 3: the window is an hour shorter, and there.
    #expect(window.opening(at: moment("2026-03-29T01:30:00.000Z"), in: zone) == moment("2026-03-29T00:00:00.000Z"))
  }

  @Test("a day of 23 hours is not stepped over")
  func shortDay() throws {
    let zone = try #require(TimeZoneRules(named: "Europe/Berlin"))
    // 2026-03-29 is a Sunday, and the clocks go forward.
    let early = try #require(RotationWindow("sun 01:00-05:00 Europe/Berlin"))
    #expect(
      early.nextOpening(after: moment("2026-03-28T22:30:00.000Z"), in: zone) == moment("2026-03-29T00:00:00.000Z"))
    let late = try #require(RotationWindow("sun 22:00-02:00 Europe/Berlin"))
    #expect(late.opening(at: moment("2026-03-29T22:10:00.000Z"), in: zone) == moment("2026-03-29T20:00:00.000Z"))
  }

  @Test("two that must not rotate together do not rotate in one window")
  func together() throws {
    var partner = try credential([:], name: "crm-b")
    let rotated = moment("2026-04-01T01:10:00.000Z")
    _ = try partner.addStaged(handle: nil, expires: nil, now: rotated)
    try partner.promoteStaged(now: rotated)
    let credential = try credential(
      ["max-age": "90d", "window": "daily 01:00-05:00", "not-together-with": "crm-b"])
    #expect(
      schedule.standing(of: credential, journal: nil, partners: [partner], now: moment("2026-04-01T02:00:00.000Z"))
        == .held(until: moment("2026-04-02T01:00:00.000Z"), .together(with: "crm-b")))
    #expect(
      schedule.standing(of: credential, journal: nil, partners: [partner], now: moment("2026-04-02T01:00:00.000Z"))
        == .due(.age))
  }

  @Test("an unfinished rotation is due whatever the window, and rests after failures")
  func unfinished() throws {
    let credential = try credential(["max-age": "90d", "window": "sun 01:00-02:00"])
    var journal = RotationJournal(beginning: 1, at: added)
    #expect(schedule.standing(of: credential, journal: journal, partners: [], now: added) == .due(.unfinished))
    try journal.append(.intended(.stage), at: added, graceEnds: nil)
    try journal.append(.postponed(.stage), at: added, graceEnds: nil)
    #expect(
      schedule.standing(of: credential, journal: journal, partners: [], now: added + .seconds(59))
        == .held(until: added + .seconds(60), .attempts(1)))
    #expect(
      schedule.standing(of: credential, journal: journal, partners: [], now: added + .seconds(60)) == .due(.unfinished))
  }

  @Test(
    "the pause after failures doubles up to six hours",
    arguments: [(0, 0), (1, 60), (2, 120), (9, 15_360), (10, 21_600), (99, 21_600)])
  func pauses(attempts: Int, seconds: Int) {
    #expect(RotationSchedule.pause(afterAttempts: attempts) == .seconds(seconds))
  }

  @Test(
    "a window that is none is refused",
    arguments: [
      "", "mon", "noday 01:00-02:00", "mon 1:00-2:00", "mon 01:00-01:00", "mon 24:00-25:00", "mon 01:00",
      "mon 01:00-02:00 ", "mon  01:00-02:00",
    ])
  func badWindows(text: String) {
    #expect((RotationWindow(text) == nil) == (text != "mon"))
  }

  @Test("a zone file cut anywhere is refused, and none crashes")
  func badZones() throws {
    let zone: [UInt8] = Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15 + 24)
    #expect(TimeZoneRules(name: "x", file: zone) == nil)
    for size in 0..<zone.count { #expect(TimeZoneRules(name: "x", file: Array(zone[..<size])) == nil) }
    #expect(TimeZoneRules(named: "../../etc/passwd") == nil)
  }
}

private func moment(_ text: String) -> Timestamp { Timestamp(text) ?? Timestamp(milliseconds: 0) }
