import FoundationEssentials

/// How tests look at the org and arrange it without a request.
extension SimulatorServer {
  package var state: OrgState { withOrg { $0.state() } }

  /// The administrator's app, which may rotate the others.
  package var adminApp: SimulatedApp { state.apps[0] }

  /// The apps whose credentials are to be rotated.
  package var integrationApps: [SimulatedApp] { Array(state.apps.dropFirst()) }

  /// The consumer as it is now; nil if the org knows neither id.
  package func consumer(_ id: String, ofApp app: String) -> SimulatedConsumer? {
    withOrg { org in
      guard let path = org.path(app: app, consumer: id) else { return nil }
      org.settle(path)
      return org[path]
    }
  }

  /// Whether the token endpoint would accept a pair now. Conditions of the org or app do not count, and no refusal is
  /// used up.
  package func accepts(key: String, secret: String) -> Bool {
    withOrg { $0.accepts(key: key, secret: secret) }
  }

  /// Every request since the start or since `forgetRequests`, oldest first.
  package var requests: [RecordedRequest] { withOrg { $0.requests } }

  package func forgetRequests() { withOrg { $0.requests = [] } }

  package func advanceClock(by duration: Duration) {
    let parts = duration.components
    let seconds = Double(parts.seconds) + Double(parts.attoseconds) * 1e-18
    withOrg { $0.clock.advance(by: seconds) }
  }

  package func changeReadings(_ change: @Sendable (inout OrgReadings) -> Void) {
    withOrg { change(&$0.readings) }
  }

  package func changeConditions(_ change: @Sendable (inout OrgConditions) -> Void) {
    withOrg { change(&$0.conditions) }
  }

  /// Changes the conditions of one app; an unknown app is left alone.
  package func changeConditions(ofApp app: String, _ change: @Sendable (inout AppConditions) -> Void) {
    withOrg { org in
      guard let index = org.appIndex(app) else { return }
      change(&org.apps[index].conditions)
    }
  }

  /// Adds faults after those in place; the first that strikes a request wins.
  package func add(_ faults: OrgFault...) {
    withOrg { $0.faults += faults.map(ArmedFault.init) }
  }

  package func clearFaults() { withOrg { $0.faults = [] } }

  // MARK: - Moments

  /// The whole org as it is now.
  package var moment: OrgMoment { withOrg { OrgMoment(org: $0) } }

  /// Makes the org what it was at `moment`, including its clock, requests and faults. Its address stays.
  package func restore(_ moment: OrgMoment) {
    withOrg { org in
      let baseURL = org.baseURL
      org = moment.org
      org.baseURL = baseURL
    }
  }
}

/// An org at one instant, to which it can be reset: everything that is tried from there begins in the same state.
package struct OrgMoment: Sendable {
  let org: SimulatedOrg

  /// Whether the org's apps, pairs and clock were the same at both moments; requests and access tokens do not count.
  package func isLike(_ other: OrgMoment) -> Bool { org.apps == other.org.apps && org.now == other.org.now }

  /// Whether the token endpoint would accept a pair `seconds` later, if nothing else happened in between.
  package func accepts(key: String, secret: String, after seconds: Double) -> Bool {
    var later = org
    later.clock.advance(by: seconds)
    return later.accepts(key: key, secret: secret)
  }
}
