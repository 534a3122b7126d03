import Foundation
import Synchronization

/// How far the transfer of one credential is, which goes from team to team and back.
struct SoakTransfer: Sendable {
  enum Stage {
    case held, ready, sent, opening, received, confirmed, replaced, retired, settled
    /// Whether it was sent is not known.
    case unsure
  }

  var stage = Stage.held
  var holder = Soak.Actor.owner
  var file = ""
  var number = 0

  var recipient: Soak.Actor { holder == .owner ? .bo : .owner }
}

extension Soak {
  /// The next command of the transfer. What it ends with decides about the one after it, as a person would.
  func handOverFurther(_ strike: Strike?) async throws {
    var now = transfer.withLock { $0 }
    defer { transfer.withLock { $0 = now } }
    let (holder, recipient) = (now.holder, now.recipient)
    switch now.stage {
    case .held:
      try await check("pass", as: holder)
      _ = try await run(["retire", "pass"], as: holder, strike)
      now.stage = .ready
    case .ready:
      now.number += 1
      now.file = teams.path("pass-\(now.number)")
      let card = recipient == .bo ? teams.card : teams.ownCard
      let send = ["handoff", "send", "pass", "--to", card, "--transfer", "-o", now.file]
      now.stage = try await run(send, as: holder, strike).code == 0 ? .sent : .unsure
    case .unsure:
      let withdrawn = try await run(["handoff", "withdraw", "pass"], as: holder, strike)
      if [0, 66].contains(withdrawn.code) { now.stage = .held }
    case .sent:
      let key = holder == .owner ? teams.key : teams.theirKey
      now.number += 1
      let receipt = "\(now.file)-\(now.number)"
      _ = try await run(
        ["handoff", "open", now.file, "--from", key, "--admin", "admin", "-o", receipt], as: recipient, strike)
      now.stage = .opening
    case .opening:
      now.number += 1
      let receipt = "\(now.file)-\(now.number)"
      let found = try await run(["handoff", "receipt", now.file, "-o", receipt], as: recipient, strike)
      now.stage = found.code == 0 ? .received : .sent
      if found.code == 0 { now.file = receipt }
    case .received:
      if try await run(["handoff", "confirm", now.file], as: holder, strike).code == 0 { now.stage = .confirmed }
    case .confirmed:
      let rotate = ["rotate", "--replace-previous", "pass"]
      if try await run(rotate, as: recipient, strike).code == 0 { now.stage = .replaced }
    case .replaced:
      if try await run(["retire", "pass"], as: recipient, strike).code == 0 { now.stage = .retired }
    case .retired:
      if try await run(["resume", "pass"], as: holder, strike).code == 0 { now.stage = .settled }
    case .settled:
      let removed = try await run(["remove", "pass"], as: holder, strike)
      if [0, 66].contains(removed.code) {
        now.holder = recipient
        now.stage = .held
      }
    }
  }
}
