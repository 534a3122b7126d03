import Audit
import Vault

@testable import Rotation

let rotationTargets = [
  FuzzTarget("time-zone", seeds: { [kyiv, file(footer: "<+0330>-3:30"), file(footer: "")] }) { input in
    guard let zone = TimeZoneRules(name: "Made/Up", file: input) else { return }
    for second in moments {
      let offset = zone.offset(at: Timestamp(milliseconds: second * 1000))
      require(abs(offset) <= 26 * 3600, "an offset of \(offset) seconds")
    }
    look(at: zone)
  },
  FuzzTarget("time-zone-rule", seeds: { footers.map { Array($0.utf8) } }) { input in
    guard let rule = PosixTimeZone(input) else { return }
    for second in moments { require(abs(rule.offset(at: second)) <= 25 * 3600, "an impossible offset") }
    guard let zone = TimeZoneRules(name: "Made/Up", file: file(footer: String(decoding: input, as: UTF8.self))) else {
      return
    }
    look(at: zone)
  },
  FuzzTarget("journal", seeds: { journals }) { input in
    if let event = RotationEvent(name: String(decoding: input, as: UTF8.self)) {
      require(Array(event.name.utf8) == input, "an event with two names")
    }
    var machine = RotationMachine()
    var now = Timestamp(milliseconds: 0)
    for byte in input {
      now = now + .seconds(Int(byte >> 5) * 100)
      let before = machine
      do {
        let event = RotationEvent.all[Int(byte) % RotationEvent.all.count]
        try machine.apply(event, at: now, graceEnds: now + .seconds(Int(byte)))
        require(!before.state.isFinal, "an event after the end")
      } catch { require(machine == before, "a refused event has changed something") }
      let action = machine.nextAction(now: now)
      require((action == .finished) == machine.state.isFinal, "\(machine.state) goes on with \(action)")
    }
  },
]

private let windows = ["mon-fri 01:00-05:00", "sat,sun 22:00-02:00", "daily", "wed 02:30-03:15"].compactMap {
  RotationWindow($0)
}
/// Moments around clock changes, leap days, and the ends of time.
private let moments: [Int64] = [
  .min / 1000, -62_167_219_200, -1, 0, 951_782_400, 1_774_746_000, 1_774_746_001, 1_793_098_800, 4_107_542_400,
  253_402_300_799, .max / 1000,
]
private let footers = [
  "EET-2EEST,M3.5.0/3,M10.5.0/4", "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", "IST-1GMT0,M10.5.0,M3.5.0/1",
  "XXX3EDT4,J60/0,365/167:59:59", "UTC0",
]
private let kyiv = file(
  footer: footers[0], transitions: [(-1_000_000, 0), (1_774_746_000, 1), (1_793_098_800, 0)], offsets: [7200, 10_800])
private let journals: [[UInt8]] = {
  let told = [
    "stage.intended", "staged", "validate.intended", "validated", "promote.intended", "promoted", "verify.intended",
    "verified", "retire.intended", "deleted", "prove.intended", "refused",
  ]
  let all = RotationEvent.all.map(\.name)
  return [told.compactMap { name in all.firstIndex(of: name).map { UInt8($0) } }] + told.map { Array($0.utf8) }
}()

/// A TZif file of version 2 (RFC 8536 §3).
private func file(
  footer: String, transitions: [(at: Int64, kind: UInt8)] = [], offsets: [Int32] = [0]
) -> [UInt8] {
  func number(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
  func header(_ times: Int, _ types: Int, _ characters: Int) -> [UInt8] {
    Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15) + [0, 0, 0, times, types, characters].flatMap(number)
  }
  var bytes = header(0, 1, 1) + number(0)
  bytes += [0, 0, 0]
  bytes += header(transitions.count, offsets.count, 4)
  for transition in transitions { bytes += number(Int(transition.at >> 32)) + number(Int(transition.at)) }
  bytes += transitions.map(\.kind)
  for offset in offsets { bytes += number(Int(offset)) + [UInt8(0), UInt8(0)] }
  return bytes + Array("XXX\0\n\(footer)\n".utf8)
}

/// Windows in the zone must be whole, and follow one another.
private func look(at zone: TimeZoneRules) {
  for second in moments {
    let now = Timestamp(milliseconds: max(min(second, 253_402_300_799), -62_167_219_200) * 1000)
    for window in windows {
      if let opened = window.opening(at: now, in: zone) { require(opened <= now, "a window that opened later") }
      if let next = window.nextOpening(after: now, in: zone) { require(next > now, "a window that opened before") }
      if let (opens, closes) = window.first(from: now, reserve: .seconds(600), in: zone) {
        require(opens < closes || opens.milliseconds >= 253_402_300_799_000, "a window that closes as it opens")
      }
    }
  }
}
