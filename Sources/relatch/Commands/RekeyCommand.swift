import ArgumentParser
import JSON
import Vault

struct RekeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rekey", abstract: "Renew the keys of the vault and of every credential, and seal everything again.",
    discussion: """
      This is one durable step: if it is interrupted at any point, the vault opens with the old keys or with the new \
      ones. It rotates nothing: anyone who knows a pair still knows it. Members and grants stay as they are.
      """)

  @OptionGroup var options: CommonOptions

  func run() async throws {
    let now = WallClock.now()
    let (count, damaged) = try await Places(options).changingMembers { vault, keep in
      try await vault.rekey(now: now, keeping: keep)
    }
    let done = "the vault has a new key, and so has each of \(count) credentials"
    var members: [String: JSONValue] = ["credentials": .integer(count), "type": "rekeyed"]
    if !damaged.isEmpty { members["damaged"] = .array(damaged.map { .string($0) }) }
    let report = Report(options)
    try report.confirmation(.object(members), text: done)
    try report.requireAllRekeyed(damaged, after: done)
  }
}
