import Foundation
import OrgSimulator

/// A practice leak of several credentials at once, against an org that exists only for the drill.
struct Drill {
  private let server: SimulatorServer
  private let url: String
  private let program: Program
  private let contains: Bool

  /// `latency` is how many seconds each answer of the org takes.
  init(credentials: Int, latency: Double, contains: Bool) async throws {
    self.contains = contains
    server = SimulatorServer(layout: OrgLayout(apps: credentials))
    url = try await server.start()
    if latency > 0 { server.add(OrgFault(.slow, count: nil, seconds: latency)) }
    program = try Program(
      folder: FileManager.default.temporaryDirectory.appending(path: "relatch-drill-\(UUID().uuidString)"))
  }

  func run() async throws {
    let apps = server.integrationApps
    guard let admin = server.adminApp.consumers.first?.primary else {
      throw DemoFailure(reason: "the simulated org has no apps")
    }
    let leaked = apps.compactMap { $0.consumers.first?.primary }
    say("A simulated Salesforce org listens at \(url); \(apps.count) of its pairs are about to leak.")
    try program.run("init", "--no-passphrase")
    try program.run(
      "add", "admin", "--provider", "salesforce", "--set", "url=\(url)", "--set", "app=\(server.adminApp.identifier)",
      input: admin.document)
    for (number, (app, pair)) in zip(apps, leaked).enumerated() {
      try program.run(
        "add", "app\(number + 1)", "--provider", "salesforce", "--set", "url=\(url)", "--set", "app=\(app.identifier)",
        "--admin", "admin", "--policy", "propagation=0s", "--policy", "drill=yes", input: pair.document)
    }
    try program.run(["drill", "--jobs", "\(min(32, max(1, apps.count)))"] + (contains ? ["--contain"] : []))
    let probe = TokenProbe(url: url)
    for (number, pair) in leaked.enumerated() {
      try await expect(!probe.isGranted(pair), "app\(number + 1): the pair that leaked is refused")
    }
    for (number, app) in server.integrationApps.enumerated() {
      guard let new = app.consumers.first?.primary else { throw DemoFailure(reason: "an app has no primary pair") }
      try await expect(probe.isGranted(new), "app\(number + 1): the pair that replaced it is granted a token")
    }
    try program.run("log", "verify")
  }

  func end(keepingFolder: Bool) async {
    await server.stop()
    if keepingFolder {
      say("\nLook around with: RELATCH_VAULT=\(program.vault) RELATCH_IDENTITY=\(program.identity) relatch incident")
    } else {
      try? FileManager.default.removeItem(at: program.folder)
    }
  }
}
