package import FoundationEssentials

/// Everything about the org, keys and secrets included: it is a simulator, and tests look inside.
package struct OrgState: Codable, Sendable {
  package let baseURL: String
  package let organizationID: String
  package let now: Date
  package let readings: OrgReadings
  package let conditions: OrgConditions
  /// The first one is the administrator's.
  package let apps: [SimulatedApp]
  package let liveTokens: Int

  /// One line of JSON for the caller that started the org as a process: its address, and the pairs it began with.
  package func announcement() -> String {
    let shownApps = apps.map { app -> JSONNode in
      let consumers = app.consumers.map { consumer -> JSONNode in
        [
          "id": .string(consumer.id), "name": .string(consumer.name),
          "key": .string(consumer.primary?.key ?? ""), "secret": .string(consumer.primary?.secret ?? ""),
        ]
      }
      return [
        "identifier": .string(app.identifier), "developerName": .string(app.developerName),
        "isAdmin": .bool(app.isAdmin), "consumers": .array(consumers),
      ]
    }
    let line: JSONNode = [
      "baseURL": .string(baseURL), "controlURL": .string("\(baseURL)/__org"),
      "organizationID": .string(organizationID), "admin": shownApps.first ?? .null,
      "apps": .array(Array(shownApps.dropFirst())),
    ]
    return String(decoding: line.data, as: UTF8.self)
  }
}

extension SimulatedOrg {
  /// The org as it is now, after `settle` has ended everything that has expired.
  mutating func state() -> OrgState {
    for app in apps.indices {
      for consumer in apps[app].consumers.indices { settle(ConsumerPath(app: app, consumer: consumer)) }
    }
    let now = now
    return OrgState(
      baseURL: baseURL, organizationID: organizationID, now: now, readings: readings, conditions: conditions,
      apps: apps, liveTokens: tokens.values.count { $0.expiresAt > now })
  }
}
