import ArgumentParser
import Glibc
import OrgSimulator

/// The simulated org as a process, for tests and drills that are not written in Swift.
@main
struct OrgSimulatorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "org-simulator",
    abstract: "A hostile, Salesforce-shaped org on 127.0.0.1.",
    discussion: """
      Prints one line of JSON (baseURL, controlURL, organizationID, admin, apps) and serves until it is ended. \
      Everything given on the command line can be changed later under /__org/.
      """)

  @Option(help: "The port to listen on; 0 takes any free one.")
  var port: UInt16 = 0

  @Option(help: "How many apps there are besides the administrator's.")
  var apps = 1

  @Option(help: "How many consumers each of them has.")
  var consumersPerApp = 1

  @Flag(help: "Let every app read and rotate credentials, its own included.")
  var everyAppIsAdmin = false

  @Option(help: "Seconds for which a new pair is refused as unknown.")
  var propagation: Double?

  @Option(
    name: .customLong("reading"),
    help: ArgumentHelp("One of OrgReadings, such as replacedID=keepsStagedID. Repeatable.", valueName: "key=value"))
  var readings: [String] = []

  @Option(
    name: .customLong("condition"),
    help: ArgumentHelp("One of OrgConditions, such as isLocked=true. Repeatable.", valueName: "key=value"))
  var conditions: [String] = []

  @Option(
    name: .customLong("fault"),
    help: ArgumentHelp(
      "A fault, such as 'dropAfter:POST:*/staged:skip=1,count=2'; count=all never ends. Repeatable.",
      valueName: "kind[:method[:path[:key=value,…]]]"))
  var faults: [FaultArgument] = []

  func run() async throws {
    signal(SIGPIPE, SIG_IGN)
    var settings = OrgReadings()
    var orgConditions = OrgConditions()
    do {
      for reading in readings { try settings.set(reading) }
      for condition in conditions { try orgConditions.set(condition) }
    } catch let error as OrgSettingError {
      throw ValidationError(error.description)
    }
    if let propagation { settings.propagationSeconds = propagation }
    let layout = OrgLayout(apps: apps, consumersPerApp: consumersPerApp, everyAppIsAdmin: everyAppIsAdmin)
    let server = SimulatorServer(layout: layout, readings: settings, conditions: orgConditions)
    for fault in faults { server.add(fault.fault) }
    _ = try await server.start(port: port)
    announce(server.state.announcement())
    await server.untilStopped()
  }

  func validate() throws {
    guard apps >= 0, consumersPerApp >= 1 else {
      throw ValidationError("expected --apps of at least 0 and --consumers-per-app of at least 1")
    }
  }

  /// One unbuffered write, so that a reader of the pipe sees the whole line at once.
  private func announce(_ line: String) {
    var rest = Array((line + "\n").utf8)[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      guard written > 0 else { return }
      rest = rest.dropFirst(written)
    }
  }
}
