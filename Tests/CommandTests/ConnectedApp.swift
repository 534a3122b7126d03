import Contracts
import Foundation
import Glibc
import Testing

/// A connected app in the simulated org, its credential in a vault, and the person at the app's page and at the
/// terminal.
final class ConnectedApp: Sendable {
  let place: Workplace
  let identifier: String

  /// `readings` say whether a staged pair is accepted before Apply (`stagedPairGrants`), and the old one after it
  /// (`replacedPairLivesOn`).
  init(_ readings: String..., policy: [String] = []) async throws {
    place = try await Workplace(readings.flatMap { ["--reading", $0] }, addsAdmin: false)
    identifier = try await place.org.apps()[1].identifier
    var arguments = [
      "add", "crm", "--provider", "salesforce-connected-app", "--set", "url=\(place.org.url)", "--set", "app=CMDB",
    ]
    // Old enough to be due, if its policy has a greatest age.
    arguments += ["--created", "2026-01-01T00:00:00Z"]
    for rule in ["propagation=0s", "grace=0s"] + policy { arguments += ["--policy", rule] }
    let pair = try await place.org.primary()
    let added = try await place.run(Programs.relatch, arguments, stdin: pair.document)
    #expect(added.code == 0, "\(added.errorText)")
  }

  /// Does what the person does at the page.
  func click(_ what: String) async throws { try await place.org.set("clicks", ["app": identifier, "click": what]) }

  /// The staged details as the page shows them; generated if there are none.
  func staged() async throws -> SimulatedOrg.IssuedPair {
    try await click("generate")
    return try #require(try await place.org.consumer().slot).pair
  }

  /// Runs a command with a terminal of its own.
  func start(
    _ arguments: String..., environment: [String: String] = [:], flags: [String] = []
  ) throws -> Conversation {
    let terminal = try PseudoTerminal()
    let running = try Running(
      Programs.relatch, arguments + flags, stdin: nil, environment: place.environment(environment), in: place.folder,
      terminal: terminal.path)
    return Conversation(running: running, terminal: terminal)
  }

  /// Whether the vault's active pair is the app's current one, the earlier one is refused, and the log is intact.
  func isRotated(from old: SimulatedOrg.IssuedPair) async throws -> Bool {
    let current = try await place.org.primary()
    let isActive = try await place.pair("crm") == current
    let isOldRefused = try await !place.org.accepts(old)
    let isWhole = try await place.logIsIntact()
    return isActive && isOldRefused && isWhole && current != old
  }
}

/// A command, and the person at its terminal.
final class Conversation {
  static let staged = "Are the staged details shown?"
  static let key = "staged consumer key:"
  static let secret = "staged consumer secret:"
  static let unproved = "Go on to Apply"
  static let apply = "Was Apply clicked"
  static let cancel = "Are the staged details gone"

  let running: Running
  let terminal: PseudoTerminal
  private(set) var shown = ""
  private var rest = ""

  init(running: Running, terminal: PseudoTerminal) {
    self.running = running
    self.terminal = terminal
  }

  /// Waits for `prompt`, at most a minute.
  func wait(_ prompt: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    for _ in 1...6 where !rest.contains(prompt) {
      let more = terminal.screen(until: prompt)
      rest += more
      shown += more
    }
    let errors = String(decoding: try running.said().errors, as: UTF8.self)
    let found = try #require(rest.range(of: prompt), "\(prompt): \(rest) \(errors)", sourceLocation: sourceLocation)
    rest = String(rest[found.upperBound...])
  }

  func answer(_ prompt: String, _ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    try wait(prompt, sourceLocation: sourceLocation)
    terminal.type(text + "\n")
  }

  /// Pastes a pair at the prompts for staged or for current details.
  func paste(
    _ pair: SimulatedOrg.IssuedPair, as kind: String = "staged", sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    for (part, text) in [("key", pair.key), ("secret", pair.secret)] {
      try wait("\(kind) consumer \(part):", sourceLocation: sourceLocation)
      terminal.waitForQuiet()
      terminal.type(text + "\n")
    }
  }

  /// Waits for the end. Nothing of a typed pair may be on the screen.
  func end(hiding pairs: [SimulatedOrg.IssuedPair] = []) async throws -> Outcome {
    let outcome = try await running.outcome()
    shown += terminal.rest()
    for pair in pairs { #expect(!shown.contains(pair.key) && !shown.contains(pair.secret)) }
    return outcome
  }
}
