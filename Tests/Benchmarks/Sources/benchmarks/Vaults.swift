import Foundation
import Glibc

/// Vaults made once by `relatch init` and `relatch add`, and copied for each run, so that every run begins alike.
struct Vaults {
  let relatch: String
  let workshop: Workshop

  private func template(_ count: Int, _ hasGrace: Bool, _ isDue: Bool) -> String {
    workshop.path("vault-\(count)\(hasGrace ? "" : "-without-grace")\(isDue ? "-due" : "")")
  }
  var current: String { workshop.path("vault") }
  private var identity: String { workshop.path("identity") }

  static func name(_ number: Int) -> String { "crm-\(String(number + 100_000).dropFirst())" }

  private func words(_ arguments: [String], vault: String) -> [String] {
    [relatch] + arguments + ["--vault", vault, "--identity", identity]
  }

  /// A command on the vault that `renew` made.
  func command(_ arguments: [String]) -> [String] { words(arguments, vault: current) }

  /// A command on a copy of that vault.
  func command(_ arguments: [String], vault: String) -> [String] { words(arguments, vault: vault) }

  /// Makes the vault of `count` credentials, all administered by one more; with `isDue`, each of them is due.
  func make(_ count: Int, hasGrace: Bool = true, isDue: Bool = false, of org: Org) throws {
    let vault = template(count, hasGrace, isDue)
    try workshop.output(words(["init", "--no-passphrase"], vault: vault))
    for number in 0...count {
      let app = try org.app(number)
      var arguments = ["add", number == 0 ? "admin" : Self.name(number), "--provider", "salesforce", "--quiet"]
      arguments += ["--set", "url=\(org.url)"]
      if number > 0 { arguments += ["--set", "app=\(app.app)", "--admin", "admin"] }
      if !hasGrace { arguments += ["--policy", "grace=0s"] }
      if isDue, number > 0 {
        let made = Date(timeIntervalSinceNow: -7200).formatted(.iso8601)
        arguments += ["--policy", "max-age=1h", "--created", made]
      }
      try workshop.output(
        words(arguments, vault: vault), input: #"{"client_id":"\#(app.id)","client_secret":"\#(app.secret)"}"#)
    }
  }

  /// Makes a fresh copy of the vault of `count`, on disk before anything is measured.
  func renew(_ count: Int, hasGrace: Bool = true, isDue: Bool = false) throws {
    try? FileManager.default.removeItem(atPath: current)
    // What relatch remembers of the vault's log would make the copy look like one that was put back.
    try? FileManager.default.removeItem(atPath: workshop.path("state"))
    try workshop.output(["cp", "-a", template(count, hasGrace, isDue), current])
    sync()
  }

  /// Fails unless the first `count` rotations are in `state` in the vault, the log is intact, and the pairs in the
  /// vault are the org's primary ones.
  func check(_ count: Int, state: String, with org: Org) throws {
    let names = (1...count).map(Self.name)
    let lines = try workshop.output(command(["status", "--json"] + names)).split(separator: "\n")
    for (name, line) in zip(names, lines) {
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      let rotation = object?["rotation"] as? [String: Any]
      guard object?["credential"] as? String == name, object?["active"] as? Int == 2,
        rotation?["state"] as? String == state
      else { throw BenchmarkError("after the run: \(line)") }
    }
    guard lines.count == count else { throw BenchmarkError("status printed \(lines.count) lines, expected \(count)") }
    try workshop.output(command(["log", "verify"]))
    for number in Set([1, (count + 1) / 2, count]) {
      let app = try org.app(number)
      let pair = try workshop.output(command(["read", Self.name(number), "--field", "pair"]))
      guard pair.contains(app.id), pair.contains(app.secret) else {
        throw BenchmarkError("the vault's pair of \(Self.name(number)) is not the org's")
      }
    }
  }

  /// Fails unless none of the first `count` has a leak any more, each active pair differs from the first, and the log
  /// is intact.
  func requireNoLeak(_ count: Int) throws {
    // What a routine run was stopped at is a debt of its own, with which `status` ends with 12.
    let usage = try workshop.run(command(["status", "--json"] + (1...count).map(Self.name)))
    guard [0, 12].contains(usage.code) else { throw BenchmarkError("status ended with \(usage.code)") }
    let lines = try String(contentsOfFile: workshop.path("stdout"), encoding: .utf8).split(separator: "\n")
    for line in lines {
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      guard let object, object["leak"] == nil || object["leak"] is NSNull, object["active"] as? Int ?? 1 > 1 else {
        throw BenchmarkError("after the run: \(line)")
      }
    }
    guard lines.count == count else { throw BenchmarkError("status printed \(lines.count) lines, expected \(count)") }
    try workshop.output(command(["log", "verify"]))
  }

  /// How many entries the log has.
  func logSize() throws -> Int {
    try workshop.output(command(["log", "list", "--json"])).split(separator: "\n").count
  }

  /// How many syncs a command on that vault makes; nil if they cannot be counted.
  func syncs(_ arguments: [String]) throws -> Int? { try workshop.syncs(command(arguments)) }
}
