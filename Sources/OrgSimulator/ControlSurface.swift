import FoundationEssentials

/// The simulator's own routes, for tests and demos that run it as a separate process. They are not recorded, and no
/// fault strikes them.
///
/// | route | body | answer |
/// |---|---|---|
/// | `GET /__org/state` | | `OrgState` |
/// | `GET`, `DELETE /__org/requests` | | `[RecordedRequest]`, each with `acted` |
/// | `POST /__org/clock` | `{"advance": seconds}`, `{"fixed": "2026-01-01T00:00:00Z"}` or `{"real": true}` | `{"now": …}` |
/// | `POST /__org/readings` | members of `OrgReadings` to change | all of them |
/// | `POST /__org/conditions` | members of `OrgConditions`; with `"app": id`, of that app's `AppConditions` | all of them |
/// | `GET`, `POST`, `DELETE /__org/faults` | one `OrgFault` or a list, added to those in place | those in place |
/// | `POST /__org/accepts` | `{"key": …, "secret": …}` | `{"accepted": true}` |
extension SimulatedOrg {
  static let controlPrefix = "/__org/"

  mutating func control(_ request: OrgRequest) -> OrgAnswer {
    do {
      return try controlled(request)
    } catch let error as OrgSettingError {
      return .json(["error": .string(error.description)], status: 400)
    } catch {
      return .json(["error": "the body cannot be understood"], status: 400)
    }
  }

  private mutating func controlled(_ request: OrgRequest) throws -> OrgAnswer {
    let body = JSONNode(parsing: request.body) ?? .null
    switch (request.method, String(request.path.dropFirst(Self.controlPrefix.count))) {
    case ("GET", "state"): return .json(try JSONNode(of: state()))
    case ("GET", "requests"): return .json(try describedRequests())
    case ("DELETE", "requests"):
      requests = []
      return .json([])
    case ("POST", "clock"):
      try setClock(body)
      return .json(["now": try JSONNode(of: now)])
    case ("POST", "readings"):
      try readings.merge(body)
      return .json(try JSONNode(of: readings))
    case ("POST", "conditions"): return try setConditions(body)
    case ("GET", "faults"): break
    case ("POST", "faults"):
      if case .array = body {
        faults += try body.decode([OrgFault].self).map(ArmedFault.init)
      } else {
        faults.append(ArmedFault(try body.decode(OrgFault.self)))
      }
    case ("DELETE", "faults"): faults = []
    case ("POST", "accepts"):
      return .json(["accepted": .bool(accepts(key: body["key"]?.text ?? "", secret: body["secret"]?.text ?? ""))])
    default: return .notFound
    }
    return .json(try JSONNode(of: faults.map(\.fault)))
  }

  /// Whether the token endpoint would accept a pair at this moment, leaving aside the org's and the app's conditions.
  mutating func accepts(key: String, secret: String) -> Bool {
    guard case .accepted = standing(key: key, secret: secret) else { return false }
    return true
  }

  private func describedRequests() throws -> JSONNode {
    .array(
      try requests.map { record in
        guard case .object(var members) = try JSONNode(of: record) else { return .null }
        members["acted"] = .bool(record.acted)
        return .object(members)
      })
  }

  private mutating func setClock(_ body: JSONNode) throws {
    if let seconds = body["advance"]?.double {
      clock.advance(by: seconds)
    } else if let date = body["fixed"] {
      clock = .fixed(try date.decode(Date.self))
    } else if body["real"] == true {
      clock = .real
    } else {
      throw OrgSettingError(name: "clock", reason: "known are advance, fixed, real")
    }
  }

  private mutating func setConditions(_ body: JSONNode) throws -> OrgAnswer {
    guard case .object(var members) = body, let identifier = members.removeValue(forKey: "app")?.text else {
      try conditions.merge(body)
      return .json(try JSONNode(of: conditions))
    }
    guard let app = appIndex(identifier) else { throw OrgSettingError(name: "app", reason: "no such app") }
    try apps[app].conditions.merge(.object(members))
    return .json(try JSONNode(of: apps[app].conditions))
  }
}
