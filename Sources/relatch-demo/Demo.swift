import Foundation
import OrgSimulator

/// One org, one folder, one rotation.
struct Demo {
  private let server: SimulatorServer
  private let url: String
  private let program: Program

  init() async throws {
    server = SimulatorServer(layout: OrgLayout(apps: 1))
    url = try await server.start()
    program = try Program(
      folder: FileManager.default.temporaryDirectory.appending(path: "relatch-demo-\(UUID().uuidString)"))
  }

  func run() async throws {
    guard let admin = server.adminApp.consumers.first?.primary, let app = server.integrationApps.first,
      let old = app.consumers.first?.primary
    else { throw DemoFailure(reason: "the simulated org has no apps") }

    say(
      """
      A simulated Salesforce org listens at \(url): an administrator's app, and the app "\(app.developerName)", whose pair is
      to be rotated. The vault is in \(program.folder.path).

      """)
    try program.run("init", "--no-passphrase")
    try program.run(
      "add", "admin", "--provider", "salesforce", "--set", "url=\(url)", "--set", "app=\(server.adminApp.identifier)",
      input: admin.document)
    try program.run(
      "add", "crm", "--provider", "salesforce", "--set", "url=\(url)", "--set", "app=\(app.identifier)", "--admin",
      "admin",
      input: old.document)
    try program.run("rotate", "crm")
    let new = try primary()
    try expect(
      try program.read("crm", field: "client_id") == new.key, "the vault's active pair is the org's primary one")
    try expect(new.key != old.key && new.secret != old.secret, "the org has a new key and a new secret")
    try await expect(isGranted(new), "the new pair is granted a token")
    try await expect(isGranted(old), "the old pair is still granted a token during its grace")

    try program.run("status")
    try program.run("retire", "crm")
    try await expect(!isGranted(old), "the old pair is refused")
    try await expect(isGranted(new), "the new pair is granted a token")

    try program.run("log", "list")
    try program.run("log", "verify")
    say("\nStaged, saved, proved, promoted, verified, retired, seen to be refused: the log proves each step to anyone.")
  }

  func end(keepingFolder: Bool) async {
    await server.stop()
    if keepingFolder {
      say("\nThe org is gone, so commands that ask it fail; the vault stays.")
      say("Look around with: RELATCH_VAULT=\(program.vault) RELATCH_IDENTITY=\(program.identity) relatch log list")
    } else {
      try? FileManager.default.removeItem(at: program.folder)
    }
  }

  private func primary() throws -> IssuedPair {
    guard let pair = server.integrationApps.first?.consumers.first?.primary else {
      throw DemoFailure(reason: "the app no longer has a primary pair")
    }
    return pair
  }

  private func isGranted(_ pair: IssuedPair) async throws -> Bool { try await TokenProbe(url: url).isGranted(pair) }
}

/// Prints that `promise` holds; throws if it does not.
func expect(_ holds: Bool, _ promise: String) throws {
  guard holds else { throw DemoFailure(reason: "not true: \(promise)") }
  say("  ✓ \(promise)")
}
