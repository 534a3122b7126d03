import Contracts
import Testing

@testable import Audit

@Suite struct TimestampTests {
  @Test func knownMomentsHaveTheirTexts() {
    for (milliseconds, text) in [
      (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
      (1_795_252_800_123, "2026-11-21T09:20:00.123Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
      (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ] as [(Int64, String)] {
      #expect(Timestamp(milliseconds: milliseconds).description == text)
      #expect(Timestamp(text)?.milliseconds == milliseconds)
    }
    #expect(Timestamp(milliseconds: .max).description == "9999-12-31T23:59:59.999Z")
    #expect(Timestamp(milliseconds: .min).description == "0000-01-01T00:00:00.000Z")
  }

  @Test func aQuotientIsRoundedDownAlsoBelowZero() {
    for divisor in 1...Int64(7) {
      for number in -30...Int64(30) {
        let quotient = number.dividedDown(by: divisor)
        #expect(quotient * divisor <= number && number < (quotient + 1) * divisor, "\(number) / \(divisor)")
      }
      #expect(Int64.max.dividedDown(by: divisor) == .max / divisor)
    }
    #expect(Int64.min.dividedDown(by: 1000) == -9_223_372_036_854_776)
    #expect(Int64.min.dividedDown(by: 2) == .min / 2)
  }

  @Test(arguments: [
    ("2026-11-21T09:20:00Z", "2026-11-21T09:20:00.000Z"), ("2026-11-21t09:20:00.5z", "2026-11-21T09:20:00.500Z"),
    ("2026-11-21 09:20:00.123987+02:00", "2026-11-21T07:20:00.123Z"),
    ("2026-12-31T23:30:00-01:30", "2027-01-01T01:00:00.000Z"),
  ])
  func formsOfRFC3339AreRead(_ text: String, _ moment: String) {
    #expect(Timestamp(rfc3339: text)?.description == moment)
  }

  @Test(arguments: [
    "", "Z", "2026-11-21", "2026-11-21T09:20:00", "2026-11-21T09:20Z", "2026-11-21T09:20:00.Z",
    "2026-11-21T09:20:00,5Z", "2026-11-21T09:20:00+0200", "2026-11-21T09:20:00+24:00", "2026-02-29T09:20:00Z",
    "2026-11-21T09:20:60Z", "2026-11-21T09:20:00ZZ", "2026-11-21T09:20:00 +02:00", "+02:00", "yesterday",
  ])
  func nothingElseIsRead(_ text: String) {
    #expect(Timestamp(rfc3339: text) == nil)
  }

  @Test func randomMomentsSurviveTheirTextsInOrder() {
    var random = SeededGenerator(seed: 3)
    var last = Timestamp(milliseconds: 0)
    for _ in 0..<20_000 {
      let moment = Timestamp(milliseconds: .random(in: -62_167_219_200_000...253_402_300_799_999, using: &random))
      #expect(Timestamp(moment.description) == moment)
      #expect((moment < last) == (moment.description < last.description))
      last = moment
    }
  }

  @Test func everyDayOfFourHundredYearsFollowsTheOneBefore() {
    var expected = (year: 1896, month: 1, day: 1)
    guard let start = Timestamp("1896-01-01T00:00:00.000Z") else {
      Issue.record("the first day is not readable")
      return
    }
    for day in 0..<Int64(146_097) {
      let text = Timestamp(milliseconds: start.milliseconds + day * 86_400_000).description
      let parts = text.prefix(10).split(separator: "-").compactMap { Int($0) }
      guard parts == [expected.year, expected.month, expected.day] else {
        Issue.record("found \(text), expected \(expected)")
        return
      }
      let isLeap = expected.year % 4 == 0 && (expected.year % 100 != 0 || expected.year % 400 == 0)
      let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
      expected.day += 1
      if expected.day > lengths[expected.month - 1] { (expected.month, expected.day) = (expected.month + 1, 1) }
      if expected.month > 12 { (expected.year, expected.month) = (expected.year + 1, 1) }
    }
  }

  @Test(arguments: [
    "", "2026-11-21", "2026-11-21T09:20:00Z", "2026-11-21T09:20:00.12Z", "2026-11-21T09:20:00.1234Z",
    "2026-11-21t09:20:00.123Z", "2026-11-21T09:20:00.123z", "2026-11-21 09:20:00.123Z", "2026-11-21T09:20:00.123+00:00",
    "2026-02-29T00:00:00.000Z", "1900-02-29T00:00:00.000Z", "2026-04-31T00:00:00.000Z", "2026-13-01T00:00:00.000Z",
    "2026-00-01T00:00:00.000Z", "2026-01-00T00:00:00.000Z", "2026-01-32T00:00:00.000Z", "2026-01-01T24:00:00.000Z",
    "2026-01-01T00:60:00.000Z", "2026-12-31T23:59:60.000Z", "0000-00-00T00:00:00.000Z", "9999-12-31T24:00:00.000Z",
    "-026-11-21T09:20:00.123Z", "+026-11-21T09:20:00.123Z", "٢٠٢٦-11-21T09:20:00.123Z", "2026-11-21T09:20:00,123Z",
    "9999-99-99T99:99:99.999Z", "2026-11-21T09:20:00.123ZZ", "2026-11-21T09:20:0:.123Z", "2026-11-21T09:20:00.:23Z",
    "2026-11-21T09:20:00.12:Z", "2026-11-21T09:20:00.1:3Z", " 2026-11-21T09:20:00.123Z",
  ])
  func anotherFormOrAnImpossibleDateIsRefused(_ text: String) { #expect(Timestamp(text) == nil) }

  @Test func durationsAddAndStayInRange() {
    let moment = Timestamp(milliseconds: 1000)
    #expect((moment + .milliseconds(1500)).milliseconds == 2500)
    #expect((moment + .milliseconds(-1500)).milliseconds == -500)
    #expect((moment + .seconds(Int64.max)).description == "9999-12-31T23:59:59.999Z")
    #expect((moment + .seconds(Int64.min)).description == "0000-01-01T00:00:00.000Z")
    #expect(moment - Timestamp(milliseconds: 250) == .milliseconds(750))
  }
}
