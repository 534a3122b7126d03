import Audit
import Sodium
import Testing
import Vault

@testable import Rotation

@Suite("What is due")
struct ScheduleTests {
  private let schedule = RotationSchedule { TimeZoneRules(named: $0) }
  private let added = moment("2026-01-01T00:00:00.000Z")

  @Test("nothing is due without a maximum age")
  func unscheduled() throws {
    let credential = try scheduledCredential([:])
    #expect(schedule.standing(of: credential, journal: nil, partners: { [] }, now: added) == .unscheduled)
  }

  @Test("a pair is due when it reaches its maximum age, and not a moment before")
  func age() throws {
    let credential = try scheduledCredential(["max-age": "90d"])
    let due = moment("2026-04-01T00:00:00.000Z")
    let before = schedule.standing(
      of: credential, journal: nil, partners: { [] }, now: Timestamp(milliseconds: due.milliseconds - 1))
    #expect(before == .waiting(until: due, .age))
    #expect(schedule.standing(of: credential, journal: nil, partners: { [] }, now: due) == .due(.age))
  }

  @Test("a pair that expires is due a quarter of its life before its end, at most 30 days, or at its maximum age")
  func ending() throws {
    func standing(_ days: Int64, _ policy: [String: String] = [:], at day: Int64) throws -> RotationSchedule.Standing {
      var credential = try scheduledCredential(policy)
      credential.setExpiry(of: 1, added + .seconds(days * 86_400))
      return schedule.standing(of: credential, journal: nil, partners: { [] }, now: added + .seconds(day * 86_400))
    }
    #expect(try standing(40, at: 29) == .waiting(until: added + .seconds(30 * 86_400), .ending))
    #expect(try standing(40, at: 30) == .due(.ending))
    #expect(try standing(730, at: 699) == .waiting(until: added + .seconds(700 * 86_400), .ending))
    #expect(try standing(40, ["max-age": "90d"], at: 30) == .due(.ending))
    #expect(try standing(730, ["max-age": "90d"], at: 90) == .due(.age))
  }

  @Test("a pair that expires is due in time also within an hour of its making, but not within five minutes")
  func endingSoon() throws {
    func standing(after minutes: Int64, living: Int64, _ policy: [String: String] = [:]) throws
      -> RotationSchedule.Standing
    {
      var credential = try scheduledCredential(policy)
      credential.setExpiry(of: 1, added + .seconds(living * 60))
      return schedule.standing(of: credential, journal: nil, partners: { [] }, now: added + .seconds(minutes * 60))
    }
    #expect(try standing(after: 29, living: 40) == .waiting(until: added + .seconds(30 * 60), .ending))
    #expect(try standing(after: 30, living: 40) == .due(.ending))
    #expect(try standing(after: 30, living: 40, ["max-age": "1s"]) == .due(.ending), "which is reached in an hour")
    #expect(try standing(after: 4, living: 4) == .waiting(until: added + .seconds(300), .ending))
    #expect(try standing(after: 5, living: 4) == .due(.ending))
    // What cannot be true makes no storm, and passes by no window.
    for living: Int64 in [0, -60, -30_000_000] {
      #expect(try standing(after: 59, living: living) == .waiting(until: added + .seconds(3600), .ending))
      let sundays = ["window": "sun 00:00-04:00 UTC"]
      #expect(try standing(after: 61, living: living, sundays) == .held(until: added + .seconds(3 * 86_400), .window))
    }
  }

  @Test("a pair that expires before its window opens, or its partner allows it, is replaced before that, and overdue")
  func endingWhileHeld() throws {
    let day: Int64 = 86_400
    // 1 January 2026 is a Thursday.
    func credential(living days: Int64, _ policy: [String: String]) throws -> Credential {
      var credential = try scheduledCredential(policy)
      credential.setExpiry(of: 1, added + .seconds(days * day))
      return credential
    }
    func standing(_ credential: Credential, at day: Double, _ partners: [RotationSchedule.Partner] = [])
      -> RotationSchedule.Standing
    {
      schedule.standing(
        of: credential, journal: nil, partners: { partners }, now: added + .seconds(Int64(day * 86_400)))
    }
    func days(_ days: Int64) -> Timestamp { added + .seconds(days * day) }
    let sundays = ["window": "sun 00:00-04:00 UTC"]
    // Due on Tuesday the 6th, when it has two days to live.
    let first = try credential(living: 7, sundays)
    #expect(standing(first, at: 5.25) == .due(.ending))
    #expect(
      standing(try scheduledCredential(sundays.merging(["max-age": "126h"]) { $1 }), at: 5.25)
        == .held(until: days(10), .window), "without an end it waits")
    #expect(try standing(credential(living: 7, sundays.merging(["max-age": "96h"]) { $1 }), at: 4.5) == .due(.age))
    // Due on Friday the 9th: the window on Sunday comes too late for one, and early enough for the other.
    let second = try credential(living: 11, sundays)
    #expect(standing(second, at: 8.5) == .due(.ending))
    let third = try credential(living: 12, sundays)
    #expect(standing(third, at: 9.25) == .held(until: days(10), .window))
    // A zone that this machine does not know never opens.
    let nowhere = try credential(living: 8, ["window": "daily 01:00-02:00 Mars/Olympus"])
    #expect(standing(nowhere, at: 6) == .held(until: days(7), .unknownZone("Mars/Olympus")))
    #expect(standing(nowhere, at: 7) == .due(.ending))

    var partner = try scheduledCredential([:], name: "erp")
    _ = try partner.addStaged(handle: nil, expires: nil, now: days(6))
    try partner.promoteStaged(now: days(6))
    let other = RotationSchedule.Partner(credential: partner, journal: nil, isAtWork: false)
    #expect(
      try standing(credential(living: 8, [:]), at: 6.25, [other]) == .held(until: days(7), .together(with: "erp")))
    #expect(try standing(credential(living: 7, [:]), at: 6.5, [other]) == .due(.ending))

    for credential in [first, second, third, nowhere] {
      let found = try #require(schedule.appointment(for: credential, journal: nil, partners: [partner]))
      let end = try #require(credential.versions.first?.expires)
      #expect(found.begins < found.overdue && found.overdue < end)
    }
  }

  @Test("one whose pairs end within a day keeps its partner from nothing but beginning beside it")
  func partnerThatEndsSoon() throws {
    let credential = try scheduledCredential(["max-age": "3d"])
    let now = added + .seconds(4 * 86_400)
    for hours: Int64 in [24, 33] {
      var partner = try scheduledCredential([:], name: "erp")
      _ = try partner.addStaged(handle: nil, expires: nil, now: now)
      try partner.promoteStaged(now: now)
      partner.setExpiry(of: 2, now + .seconds(hours * 3600))
      let other = RotationSchedule.Partner(credential: partner, journal: nil)
      #expect(
        schedule.standing(of: credential, journal: nil, partners: { [other] }, now: now)
          == (hours == 24 ? .due(.age) : .held(until: now + .seconds(86_400), .together(with: "erp"))))
      let overdue = schedule.appointment(for: credential, journal: nil, partners: [partner])?.overdue
      #expect(overdue == credential.maximumAge.map { $0 + RotationSchedule.tolerance })
      let journal = RotationJournal(beginning: 3, at: now)
      #expect(
        schedule.standing(
          of: credential, journal: nil,
          partners: { [RotationSchedule.Partner(credential: partner, journal: journal, isAtWork: true)] }, now: now)
          == .held(until: nil, .together(with: "erp")))
    }
  }

  @Test("jitter brings the moment forward by the same share every time")
  func jitter() throws {
    let credential = try scheduledCredential(["max-age": "90d", "jitter": "10d"])
    let limit = try #require(schedule.ageLimit(of: credential))
    #expect(limit < moment("2026-04-01T00:00:00.000Z") && limit > moment("2026-03-22T00:00:00.000Z"))
    #expect(schedule.ageLimit(of: credential) == limit)
  }

  @Test(
    "a pair is left alone for an hour, whatever an earlier record says",
    arguments: [["max-age": "0s"], ["max-age": "1s"], ["max-age": "1d", "jitter": "3650d"]])
  func noStorm(policy: [String: String]) throws {
    let credential = try scheduledCredential(policy)
    let due = added + .seconds(3600)
    #expect(
      schedule.standing(of: credential, journal: nil, partners: { [] }, now: added) == .waiting(until: due, .age))
    #expect(schedule.standing(of: credential, journal: nil, partners: { [] }, now: due) == .due(.age))
    let appointment = try #require(schedule.appointment(for: credential, journal: nil, partners: []))
    #expect(appointment.begins == due)
  }

  @Test("records of a clock that was ahead do not make anything wait until that time", arguments: [true, false])
  func clockWasAhead(isLeaked: Bool) throws {
    let later = added + .seconds(365 * 86_400)
    var credential = try scheduledCredential(["max-age": "90d"])
    if isLeaked { credential.noteLeak(incident: "2026-01-01-0f0f0f", version: 1, now: later) }
    #expect(
      schedule.standing(of: credential, journal: nil, partners: { [] }, now: added)
        == (isLeaked ? .due(.leaked) : .waiting(until: added + .seconds(90 * 86_400), .age)))

    var journal = RotationJournal(beginning: 1, at: later)
    for event in [RotationEvent.intended(.stage), .staged, .intended(.validate)] {
      try journal.append(event, at: later, graceEnds: nil)
    }
    #expect(schedule.standing(of: credential, journal: journal, partners: { [] }, now: added) == .due(.unfinished))
    try journal.append(.postponed(.validate), at: later, graceEnds: nil)
    #expect(
      schedule.standing(of: credential, journal: journal, partners: { [] }, now: added)
        == .due(.unfinished))

    for event in [RotationEvent.abandoned, .intended(.discard), .discarded] {
      try journal.append(event, at: later, graceEnds: nil)
    }
    credential.noteRotation(hasEnded: true, graceEnds: nil)
    #expect(
      schedule.standing(of: credential, journal: journal, partners: { [] }, now: added)
        == (isLeaked ? .due(.leaked) : .waiting(until: added + .seconds(90 * 86_400), .age)))
  }

  @Test("a clock slightly behind the last attempt's causes no further attempt")
  func clockIsBehind() throws {
    let credential = try scheduledCredential(["max-age": "90d"])
    let later = added + .seconds(1800)
    var journal = RotationJournal(beginning: 1, at: later)
    try journal.append(.postponed(.stage), at: later, graceEnds: nil)
    #expect(
      schedule.standing(of: credential, journal: journal, partners: { [] }, now: added)
        == .held(until: later + .seconds(60), .attempts(1)))
  }

  @Test("a due pair waits for its window")
  func window() throws {
    // 2026-04-01 is a Wednesday.
    let credential = try scheduledCredential(["max-age": "90d", "window": "mon-fri 01:00-05:00"])
    let midnight = moment("2026-04-01T00:30:00.000Z")
    let opens = moment("2026-04-01T01:00:00.000Z")
    #expect(
      schedule.standing(of: credential, journal: nil, partners: { [] }, now: midnight) == .held(until: opens, .window))
    #expect(schedule.standing(of: credential, journal: nil, partners: { [] }, now: opens) == .due(.age))
    let saturday = moment("2026-04-04T02:00:00.000Z")
    #expect(
      schedule.standing(of: credential, journal: nil, partners: { [] }, now: saturday)
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
    // The night of 2026-03-29 has no hour from 2 to 3, that of 2026-10-25 has it twice: 5 o'clock stays 5 o'clock.
    #expect(window.opening(at: moment("2026-03-29T02:59:59.000Z"), in: zone) == moment("2026-03-29T00:00:00.000Z"))
    #expect(window.opening(at: moment("2026-03-29T03:00:00.000Z"), in: zone) == nil)
    #expect(window.opening(at: moment("2026-10-25T03:59:59.000Z"), in: zone) == moment("2026-10-24T23:00:00.000Z"))
    #expect(window.opening(at: moment("2026-10-25T04:00:00.000Z"), in: zone) == nil)
  }

  @Test("a window in the hour that clocks skip still opens, east and west of Greenwich")
  func skippedHour() throws {
    guard let berlin = TimeZoneRules(named: "Europe/Berlin"), let newYork = TimeZoneRules(named: "America/New_York")
    else { return }
    let window = try #require(RotationWindow("sun 02:10-02:40 X"))
    #expect(window.opening(at: moment("2026-03-29T01:10:00.000Z"), in: berlin) == moment("2026-03-29T01:10:00.000Z"))
    #expect(window.opening(at: moment("2026-03-29T01:40:00.000Z"), in: berlin) == nil)
    #expect(window.opening(at: moment("2026-03-08T07:10:00.000Z"), in: newYork) == moment("2026-03-08T07:10:00.000Z"))
    // Of two hours with the same name, the first counts.
    let autumn = try #require(RotationWindow("sun 01:10-01:40 X"))
    #expect(autumn.opening(at: moment("2026-11-01T05:15:00.000Z"), in: newYork) != nil)
    #expect(autumn.opening(at: moment("2026-11-01T06:15:00.000Z"), in: newYork) == nil)
  }

  @Test("a window past midnight also opens after a day of 23 hours")
  func pastMidnightAfterShortDay() throws {
    guard let berlin = TimeZoneRules(named: "Europe/Berlin") else { return }
    let window = try #require(RotationWindow("sun 23:30-02:00 Europe/Berlin"))
    let opens = moment("2026-03-29T21:30:00.000Z")
    for minutes in 0..<150 {
      #expect(window.opening(at: opens + .seconds(60 * minutes), in: berlin) == opens, "\(minutes)")
    }
    #expect(window.nextOpening(after: opens + .seconds(-1), in: berlin) == opens)
    #expect(window.nextOpening(after: opens, in: berlin) == moment("2026-04-05T21:30:00.000Z"))
  }

  @Test("a day of 23 hours is not skipped")
  func shortDay() throws {
    let zone = try #require(TimeZoneRules(named: "Europe/Berlin"))
    // 2026-03-29 is a Sunday, and the clocks go forward.
    let early = try #require(RotationWindow("sun 01:00-05:00 Europe/Berlin"))
    #expect(
      early.nextOpening(after: moment("2026-03-28T22:30:00.000Z"), in: zone) == moment("2026-03-29T00:00:00.000Z"))
    let late = try #require(RotationWindow("sun 22:00-02:00 Europe/Berlin"))
    #expect(late.opening(at: moment("2026-03-29T22:10:00.000Z"), in: zone) == moment("2026-03-29T20:00:00.000Z"))
  }

  @Test("two credentials that must not rotate together do not rotate in one window")
  func together() throws {
    let partner = try rotated(at: moment("2026-04-01T01:10:00.000Z"))
    let credential = try scheduledCredential(
      ["max-age": "90d", "window": "daily 01:00-05:00", "not-together-with": "crm-b"])
    #expect(
      schedule.standing(of: credential, journal: nil, partners: { [partner] }, now: moment("2026-04-01T02:00:00.000Z"))
        == .held(until: moment("2026-04-02T01:00:00.000Z"), .together(with: "crm-b")))
    #expect(
      schedule.standing(of: credential, journal: nil, partners: { [partner] }, now: moment("2026-04-02T01:00:00.000Z"))
        == .due(.age))
  }

  /// A partner that was rotated at `time`.
  private func rotated(at time: Timestamp) throws -> RotationSchedule.Partner {
    var partner = try scheduledCredential([:], name: "crm-b")
    _ = try partner.addStaged(handle: nil, expires: nil, now: time)
    try partner.promoteStaged(now: time)
    return RotationSchedule.Partner(credential: partner, journal: nil)
  }

  @Test("without a window, two credentials that must not rotate together rotate a day apart")
  func togetherWithoutWindow() throws {
    let partner = try rotated(at: moment("2026-04-01T10:00:00.000Z"))
    let credential = try scheduledCredential(["max-age": "90d"])
    func standing(_ time: String) -> RotationSchedule.Standing {
      schedule.standing(of: credential, journal: nil, partners: { [partner] }, now: moment(time))
    }
    #expect(
      standing("2026-04-02T09:59:59.000Z")
        == .held(until: moment("2026-04-02T10:00:00.000Z"), .together(with: "crm-b")))
    #expect(standing("2026-04-02T10:00:00.001Z") == .due(.age))
  }

  @Test("a partner holds the credential while its rotation may still promote, whenever that began, and no longer")
  func partnerUnderWay() throws {
    let credential = try scheduledCredential(["max-age": "90d", "window": "daily 01:00-05:00"])
    let now = moment("2026-04-10T02:00:00.000Z")
    let partner = try scheduledCredential([:], name: "crm-b")
    for (events, holds) in [
      ([], true), ([.intended(.stage), .lost(.stage)], true),
      ([.intended(.stage), .staged, .abandoned], false), ([.abandoned], false),
    ] as [([RotationEvent], Bool)] {
      var journal = RotationJournal(beginning: 1, at: added)
      for event in events { try journal.append(event, at: added, graceEnds: nil) }
      let standing = schedule.standing(
        of: credential, journal: nil,
        partners: { [RotationSchedule.Partner(credential: partner, journal: journal)] }, now: now)
      #expect(standing == (holds ? .held(until: nil, .together(with: "crm-b")) : .due(.age)), "\(events)")
    }
  }

  @Test("a partner that a clock which was ahead has rotated holds nothing")
  func partnerOfTheFuture() throws {
    let now = moment("2026-04-01T02:00:00.000Z")
    let partner = try rotated(at: moment("2028-04-01T02:00:00.000Z"))
    for window in [[:], ["window": "daily 01:00-05:00"]] {
      let credential = try scheduledCredential(["max-age": "90d"].merging(window) { $1 })
      #expect(schedule.standing(of: credential, journal: nil, partners: { [partner] }, now: now) == .due(.age))
    }
  }

  @Test("a partner that waits after an attempt in which it asked for nothing holds nothing, and then waits itself")
  func partnerHasNotAsked() throws {
    let due = moment("2026-04-10T02:00:00.000Z")
    let credential = try scheduledCredential(["max-age": "90d"])
    let other = try scheduledCredential([:], name: "crm-b")
    func failed(at time: Timestamp) throws -> RotationJournal {
      var journal = RotationJournal(beginning: 1, at: time)
      try journal.append(.postponed(.stage), at: time, graceEnds: nil)
      return journal
    }
    func standing(
      _ journal: RotationJournal?, beside partner: RotationSchedule.Partner, at time: Timestamp
    ) -> RotationSchedule.Standing {
      schedule.standing(of: credential, journal: journal, partners: { [partner] }, now: time)
    }
    let waiting = RotationSchedule.Partner(credential: other, journal: try failed(at: due))
    #expect(standing(nil, beside: waiting, at: due + .seconds(59)) == .due(.age))
    #expect(standing(nil, beside: waiting, at: due + .seconds(60)) == .held(until: nil, .together(with: "crm-b")))
    // One that waits within a run goes on by itself.
    let atWork = RotationSchedule.Partner(credential: other, journal: try failed(at: due), isAtWork: true)
    #expect(standing(nil, beside: atWork, at: due + .seconds(59)) == .held(until: nil, .together(with: "crm-b")))
    #expect(
      standing(try failed(at: due + .seconds(-1)), beside: atWork, at: due + .seconds(59))
        == .held(until: nil, .together(with: "crm-b")))
    // The other way round: it goes on neither beside a rotation that is under way, nor within a day of one.
    let own = try failed(at: due)
    let later = due + .seconds(60)
    let underWay = RotationSchedule.Partner(credential: other, journal: RotationJournal(beginning: 1, at: due))
    #expect(standing(own, beside: underWay, at: later) == .held(until: nil, .together(with: "crm-b")))
    #expect(
      standing(own, beside: try rotated(at: due), at: later)
        == .held(until: due + .seconds(86_400), .together(with: "crm-b")))
    #expect(standing(own, beside: try rotated(at: due), at: due + .seconds(86_401)) == .due(.unfinished))
    // Of two such, the one that began first goes on.
    for (began, goesOn) in [(-1, false), (1, true)] {
      let partner = RotationSchedule.Partner(credential: other, journal: try failed(at: due + .seconds(began)))
      #expect(
        standing(own, beside: partner, at: due + .seconds(120))
          == (goesOn ? .due(.unfinished) : .held(until: nil, .together(with: "crm-b"))))
    }
  }

  @Test("one that is rotated often leaves the other the day, or the window, that it needs")
  func turns() throws {
    var often = try scheduledCredential(["max-age": "12h"], name: "alpha")
    let last = moment("2026-04-01T00:00:00.000Z")
    _ = try often.addStaged(handle: nil, expires: nil, now: last)
    try often.promoteStaged(now: last)
    let seldom = RotationSchedule.Partner(
      credential: try scheduledCredential(["max-age": "80d"], name: "zed"), journal: nil)
    func standing(_ hours: Int, beside partner: RotationSchedule.Partner) -> RotationSchedule.Standing {
      schedule.standing(of: often, journal: nil, partners: { [partner] }, now: last + .seconds(hours * 3600))
    }
    #expect(standing(11, beside: seldom) == .waiting(until: last + .seconds(12 * 3600), .age))
    let turn = RotationSchedule.Standing.held(until: last + .seconds(25 * 3600), .turn(of: "zed"))
    #expect(standing(12, beside: seldom) == turn)
    #expect(standing(24, beside: seldom) == turn)
    #expect(
      schedule.standing(
        of: seldom.credential, journal: nil,
        partners: { [RotationSchedule.Partner(credential: often, journal: nil)] }, now: last + .seconds(86_401))
        == .due(.age))
    // Another machine, a person or nobody may have to begin it.
    #expect(standing(25, beside: seldom) == .due(.age))
    // It gives way to none that cannot begin: not due, its window closed, its last attempt a failure, damaged.
    let young = try scheduledCredential(["max-age": "95d"], name: "zed")
    let closed = try scheduledCredential(["max-age": "80d", "window": "daily 03:00-04:00"], name: "zed")
    var failed = RotationJournal(beginning: 1, at: last)
    try failed.append(.abandoned, at: last + .seconds(12 * 3600), graceEnds: nil)
    var damaged = seldom.credential
    damaged.rotation = 1
    for partner in [
      RotationSchedule.Partner(credential: young, journal: nil), .init(credential: closed, journal: nil),
      .init(credential: seldom.credential, journal: failed), .init(credential: damaged, journal: nil),
    ] { #expect(standing(12, beside: partner) == .due(.age)) }
    // For the first half of a short window, unless it was rotated itself in that.
    let open = try scheduledCredential(["max-age": "80d", "window": "daily 12:00-13:00"], name: "zed")
    #expect(
      standing(12, beside: .init(credential: open, journal: nil))
        == .held(until: last + .seconds(45_000), .turn(of: "zed")))
    let taken = try scheduledCredential(["max-age": "80d", "window": "daily 00:00-24:00"], name: "zed")
    #expect(standing(12, beside: .init(credential: taken, journal: nil)) == .due(.age))
  }

  @Test("partners are not read while something else decides")
  func partnersAreLazy() throws {
    struct Asked: Error {}
    let credential = try scheduledCredential(["max-age": "90d", "window": "mon 01:00-02:00"])
    for time in [added, moment("2026-04-01T01:30:00.000Z")] {
      _ = try schedule.standing(of: credential, journal: nil, partners: { throw Asked() }, now: time)
    }
    #expect(throws: Asked.self) {
      _ = try schedule.standing(
        of: credential, journal: nil, partners: { throw Asked() }, now: moment("2026-04-06T01:30:00.000Z"))
    }
  }

  @Test("an unknown time zone holds the credential, and is not taken for another")
  func unknownZone() throws {
    let credential = try scheduledCredential(["max-age": "90d", "window": "daily 00:00-24:00 Nowhere/Atlantis"])
    #expect(schedule.unknownZone(of: credential) == "Nowhere/Atlantis")
    #expect(
      schedule.standing(of: credential, journal: nil, partners: { [] }, now: moment("2026-04-01T00:00:00.000Z"))
        == .held(until: nil, .unknownZone("Nowhere/Atlantis")))
  }

  @Test(
    "after a refused pair the next rotation waits an hour, then twice as long each time, up to a day",
    arguments: [(1, 1), (2, 2), (4, 8), (5, 16), (6, 24), (99, 24)])
  func rejections(rotations: Int, hours: Int) {
    #expect(RotationSchedule.pause(afterRejections: rotations) == .seconds(hours * 3600))
  }

  @Test("an unfinished rotation is due whatever the window, and pauses after failures")
  func unfinished() throws {
    let credential = try scheduledCredential(["max-age": "90d", "window": "sun 01:00-02:00"])
    var journal = RotationJournal(beginning: 1, at: added)
    #expect(schedule.standing(of: credential, journal: journal, partners: { [] }, now: added) == .due(.unfinished))
    try journal.append(.intended(.stage), at: added, graceEnds: nil)
    try journal.append(.postponed(.stage), at: added, graceEnds: nil)
    #expect(
      schedule.standing(of: credential, journal: journal, partners: { [] }, now: added + .seconds(59))
        == .held(until: added + .seconds(60), .attempts(1)))
    #expect(
      schedule.standing(of: credential, journal: journal, partners: { [] }, now: added + .seconds(60))
        == .due(.unfinished))
  }

  @Test(
    "the pause after failures doubles up to six hours",
    arguments: [(0, 0), (1, 60), (2, 120), (9, 15_360), (10, 21_600), (99, 21_600)])
  func pauses(attempts: Int, seconds: Int) {
    #expect(RotationSchedule.pause(afterAttempts: attempts) == .seconds(seconds))
  }

  @Test(
    "an invalid window is refused",
    arguments: [
      "", "mon", "noday 01:00-02:00", "mon 1:00-2:00", "mon 01:00-01:00", "mon 24:00-25:00", "mon 01:00",
      "mon 01:00-02:00 ", "mon  01:00-02:00", "mon 01:00-02:00 a\u{1B}[3A", "mon 01:00-02:00 \u{202E}UTC",
      "mon 01:00-02:00 UTC\r",
    ])
  func badWindows(text: String) {
    #expect((RotationWindow(text) == nil) == (text != "mon"))
  }

  @Test("a window whose zone has no hours before it is refused, and told how to write it")
  func zoneWithoutHours() {
    var policy = Policy()
    #expect {
      try policy.set("window", to: "mon-fri Europe/Berlin")
    } throws: {
      "\($0)".contains("'mon-fri 00:00-24:00 Europe/Kyiv'")
    }
  }
}

func moment(_ text: String) -> Timestamp { Timestamp(text) ?? Timestamp(milliseconds: 0) }

/// A credential with this policy, added on 2026-01-01.
func scheduledCredential(_ policy: [String: String], name: String = "crm") throws -> Credential {
  var rules = Policy()
  for (key, value) in policy { try rules.set(key, to: value) }
  let id = try #require(Identifier("00112233445566778899aabbccddeeff"))
  return Credential(
    id: id, name: name, provider: "salesforce", settings: [:], policy: rules, admin: name,
    keyID: String(repeating: "0", count: 32), created: moment("2026-01-01T00:00:00.000Z"))
}
