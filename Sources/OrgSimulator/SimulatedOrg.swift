import FoundationEssentials

/// Where to find a consumer. Both numbers stay valid because apps and consumers are never removed.
struct ConsumerPath: Hashable {
  let app: Int
  let consumer: Int
}

/// An access token that the org handed out.
struct AccessToken {
  let path: ConsumerPath
  let clientID: String
  let issuedAt: Date
  let expiresAt: Date
}

/// The whole org as a value: requests go in, answers come out, and nothing here waits or talks to a network.
struct SimulatedOrg {
  static let day = 86_400.0
  /// "Staged credentials are valid for 30 days" (Connect, App OAuth Staged Credentials).
  static let stagedLife = 30 * day
  /// The default session timeout; client-credentials tokens live as long as a session.
  static let tokenLife = 7_200.0
  /// Retired since Summer '25.
  static let oldestVersion = 31

  let organizationID = OrgRandomness.identifier(prefix: "00D")
  var baseURL = ""
  var clock: OrgClock
  var readings: OrgReadings
  var conditions: OrgConditions
  var apps: [SimulatedApp] = []
  var tokens: [String: AccessToken] = [:]
  var faults: [ArmedFault] = []
  var requests: [RecordedRequest] = []
  /// Every key ever issued. Whether a key is still good depends on its consumer.
  private(set) var owners: [String: ConsumerPath] = [:]
  /// Every pair ever issued, oldest first and as it was then, so that a test can look for each where none may be.
  private(set) var issued: [IssuedPair] = []

  init(layout: OrgLayout, readings: OrgReadings, conditions: OrgConditions, clock: OrgClock) {
    self.clock = clock
    self.readings = readings
    self.conditions = conditions
    for number in 0...layout.apps {
      addApp(number: number, consumers: number == 0 ? 1 : layout.consumersPerApp, layout: layout)
    }
  }

  var now: Date { clock.now }

  subscript(path: ConsumerPath) -> SimulatedConsumer {
    get { apps[path.app].consumers[path.consumer] }
    set { apps[path.app].consumers[path.consumer] = newValue }
  }

  /// A new pair for the consumer at `path`.
  mutating func issuePair(for path: ConsumerPath, acceptedFrom: Date, refusals: Int) -> IssuedPair {
    let pair = IssuedPair(
      key: OrgRandomness.consumerKey(), secret: OrgRandomness.secret(readings.secretAlphabet),
      acceptedFrom: acceptedFrom, refusalsLeft: refusals)
    owners[pair.key] = path
    issued.append(pair)
    return pair
  }

  func appIndex(_ identifier: String) -> Int? {
    apps.firstIndex { IDForm.same($0.identifier, identifier) }
  }

  /// Finds a consumer by app and consumer id, each in either form.
  func path(app identifier: String, consumer id: String) -> ConsumerPath? {
    guard let app = appIndex(identifier) else { return nil }
    return apps[app].consumers.firstIndex { IDForm.same($0.id, id) }.map { ConsumerPath(app: app, consumer: $0) }
  }

  /// An identifier in the form that this org's answers use.
  func shown(_ identifier: String) -> String {
    String(identifier.prefix(readings.idLength))
  }

  private mutating func addApp(number: Int, consumers: Int, layout: OrgLayout) {
    let isAdmin = number == 0 || layout.everyAppIsAdmin
    let name = number == 0 ? "Rotation_Admin" : "Integration_\(number)"
    apps.append(
      SimulatedApp(
        identifier: OrgRandomness.identifier(prefix: "0xI"), developerName: name, isAdmin: isAdmin,
        runAsUserID: OrgRandomness.identifier(prefix: "005"), runAsUsername: "\(name.lowercased())@example.com",
        consumers: []))
    for index in 0..<max(consumers, 1) {
      let path = ConsumerPath(app: apps.count - 1, consumer: index)
      let primary = issuePair(for: path, acceptedFrom: now, refusals: 0)
      apps[path.app].consumers.append(
        SimulatedConsumer(
          id: OrgRandomness.identifier(prefix: "888"), name: "\(name)_consumer_\(index + 1)", primary: primary))
    }
  }
}

/// How many apps an org starts with. The first one is always an administrator's, with one consumer.
package struct OrgLayout: Sendable {
  package var apps: Int
  package var consumersPerApp: Int
  /// Whether every app, not only the first, may read and rotate credentials (for self-rotation).
  package var everyAppIsAdmin: Bool

  package init(apps: Int = 1, consumersPerApp: Int = 1, everyAppIsAdmin: Bool = false) {
    self.apps = apps
    self.consumersPerApp = consumersPerApp
    self.everyAppIsAdmin = everyAppIsAdmin
  }
}
