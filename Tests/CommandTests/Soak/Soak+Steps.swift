import Foundation
import Synchronization

/// The steps that take more than one command.
extension Soak {
  func perform(_ step: SoakStep, as actor: Actor, _ strikes: [Strike?]) async throws {
    switch step {
    case .command(let arguments):
      // What only an owner may do would be refused, and prove nothing.
      let isOpen = ["rotate", "resume", "retire", "revoke", "token", "status", "list"].contains(arguments[0])
      _ = try await run(arguments, as: isOpen ? actor : .owner, strikes[0])
    case .leak(let name): try await leak(name, strikes[0])
    case .backup: try await backUp(strikes[0])
    case .visitor(let name): try await receive(name, strikes)
    case .copy(let name): try await copy(name, strikes)
    }
  }

  private func leak(_ name: String, _ strike: Strike?) async throws {
    guard let pair = try await active(name, as: .owner) else { return }
    let arguments = ["revoke", "--pair-file", "-", "--reason", "soak"]
    guard try await run(arguments, stdin: pair.document, strike).code == 0 else { return }
    let isAccepted = try await accepts(pair, of: name)
    record.expect(!isAccepted, "\(name): a leaked pair is accepted, and the vault says that it is refused")
    refused.withLock { _ = $0.insert(pair) }
  }

  private func backUp(_ strike: Strike?) async throws {
    let folder = teams.path("backup-\(UUID().uuidString)")
    guard try await run(["backup", "-o", folder + ".age"], strike).code == 0 else { return }
    let elsewhere = ["RELATCH_VAULT": folder, "XDG_STATE_HOME": folder + "-state"]
    let restored = try await run(["restore", folder + ".age"], environment: elsewhere)
    let verified = try await run(["log", "verify"], environment: elsewhere)
    record.expect(restored.code == 0 && verified.code == 0, "a backup: \(restored.errorText)\(verified.errorText)")
    for file in [folder, folder + ".age", folder + "-state"] { try? FileManager.default.removeItem(atPath: file) }
  }

  private func receive(_ name: String, _ strikes: [Strike?]) async throws {
    let visitor = "visitor-\(UUID().uuidString.prefix(8))"
    let card = try await place.card(of: visitor)
    let own = try await place.environment(of: visitor)
    _ = try await run(["member", "add", "-", "--role", "operator"], stdin: card, strikes[0])
    _ = try await run(["grant", name, visitor], strikes[1])
    _ = try await run(["read", name], environment: own)
    _ = try await run(["member", "remove", visitor], strikes[2])
    _ = try await run(["rotate", "--exposed-to", visitor, "--replace-previous"], strikes[3])
  }

  private func copy(_ name: String, _ strikes: [Strike?]) async throws {
    let file = teams.path("copy-\(UUID().uuidString)")
    let own = "copy-\(UUID().uuidString.prefix(8))"
    let sent = try await run(["handoff", "send", name, "--to", teams.card, "-o", file], strikes[0])
    guard sent.code == 0 else { return }
    let admin = name == "solo" || name == "root" ? "self" : "admin"
    let open = ["handoff", "open", file, "--as", own, "--from", teams.key, "--admin", admin, "-o", file + ".receipt"]
    guard try await run(open, as: .bo, strikes[1]).code == 0 else { return }
    let isRead = try await active(own, as: .bo) != nil
    record.expect(isRead, "\(name): what was handed over cannot be read")
    _ = try await run(["handoff", "confirm", file + ".receipt"], strikes[2])
    _ = try await run(["remove", own, "--forget-debts"], as: .bo, strikes[3])
  }
}
