import Foundation
import Synchronization
import Testing

/// What every command of a soak ended with and printed, and what was wrong. Prints each as it ends, so that a failure
/// can be read.
final class SoakRecord: Sendable {
  private struct Kept {
    /// Everything that may hold no secret.
    var printed = Data()
    var codes: [String: [Int32: Int]] = [:]
  }

  private let kept = Mutex(Kept())
  private let start = ContinuousClock.now

  /// The codes that make sense for a verb while the org is in trouble and others are at work. Without a row: a command
  /// that asks nobody, and can only meet a store that a stopped run holds.
  private static let codes: [String: Set<Int32>] = [
    "rotate": [0, 10, 11, 12, 13, 66, 69, 75, 77, 78], "resume": [0, 10, 11, 12, 13, 69, 75, 77, 78],
    "abort": [0, 12, 64, 69, 75, 77, 78], "retire": [0, 11, 12, 13, 69, 75, 77, 78],
    "revoke": [0, 10, 11, 12, 13, 69, 75, 77, 78], "adopt": [0, 10, 11, 12, 69, 75, 77, 78],
    "deliver": [0, 11, 12, 13, 75, 77], "token": [0, 69, 75, 77], "read": [0, 66, 75, 77],
    "plan": [0, 75, 77, 78], "doctor": [0, 69, 75, 77, 78], "status": [0, 11, 12, 75], "incident": [0, 12, 66, 75],
    "grant": [0, 66, 75], "ungrant": [0, 66, 75], "member": [0, 64, 66, 75], "remove": [0, 66, 75],
    "handoff": [0, 10, 11, 12, 64, 65, 66, 69, 75, 77, 78], "restore": [0], "identity": [0],
  ]

  /// Records how a command ended. A code that makes no sense is a problem, and so is a trap.
  func note(_ arguments: [String], _ who: String, _ strike: Strike?, _ outcome: Outcome) {
    let verb = arguments[0]
    let line = "\(seconds) \(who): \(arguments.joined(separator: " ")) -> \(outcome.code)"
    print(outcome.code == 0 ? line : "\(line)\n\(outcome.errorText.suffix(2000))")
    kept.withLock { kept in
      kept.codes[verb, default: [:]][outcome.code, default: 0] += 1
      kept.printed += outcome.errors
      // These two print what they are asked for.
      if verb != "read", verb != "token" { kept.printed += outcome.output }
    }
    let isExpected = Self.codes[verb, default: [0, 75]].contains(outcome.code) || outcome.code == strike?.code
    if !isExpected { problem("\(line): \(outcome.errorText)") }
    for word in ["Fatal error", "crashed", "internal error"] where outcome.errorText.contains(word) {
      problem("\(line): \(outcome.errorText)")
    }
  }

  /// Records what is wrong, and fails.
  func problem(_ text: String) {
    Issue.record(Comment(rawValue: "after \(seconds) s: \(text)"))
  }

  /// What must hold at the end.
  func expect(_ isTrue: Bool, _ text: @autoclosure () -> String) {
    if !isTrue { problem(text()) }
  }

  /// Everything printed in which no secret may be found.
  var printed: Data { kept.withLock { $0.printed } }

  /// "rotate 0×12 75×3", one verb a line.
  var summary: String {
    kept.withLock { $0.codes }.sorted { $0.key < $1.key }.map { verb, codes in
      "  \(verb) " + codes.sorted { $0.key < $1.key }.map { "\($0.key)×\($0.value)" }.joined(separator: " ")
    }.joined(separator: "\n")
  }

  private var seconds: String {
    let passed = (ContinuousClock.now - start) / .milliseconds(1)
    return String(format: "%.3f", passed / 1000)
  }
}
