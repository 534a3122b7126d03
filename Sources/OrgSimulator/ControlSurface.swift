import FoundationEssentials

/// The simulator's own routes, for tests and demos that run it as a separate process. Requests to them are not
/// recorded, and no fault strikes them.
///
/// | route | body | answer |
/// |---|---|---|
/// | `GET /__org/state` | | `OrgState` |
/// | `GET /__org/issued` | | every `IssuedPair` there ever was, oldest first |
/// | `GET`, `DELETE /__org/requests` | | `[RecordedRequest]`, each with `acted` |
/// | `POST /__org/clock` | `{"advance": seconds}`, `{"fixed": "2026-01-01T00:00:00Z"}` or `{"real": true}` | `{"now": …}` |
/// | `POST /__org/readings` | members of `OrgReadings` to change | all of them |
/// | `POST /__org/conditions` | members of `OrgConditions`; with `"app": id`, of that app's `AppConditions` | all of them |
/// | `GET`, `POST`, `DELETE /__org/faults` | one `OrgFault` or a list, added to those in place | those in place |
/// | `POST /__org/clicks` | `{"app": id, "click": "generate"}`, `"apply"` or `"cancel"`: a person at a connected app's page | `{"key": …, "secret": …}` of the slot |
/// | `POST /__org/accepts` | `{"key": …, "secret": …}` | `{"accepted": true}` |
extension SimulatedOrg {
  static let controlPrefix = "/__org/"

  mutating func control(_ request: OrgRequest) -> OrgAnswer {
    do {
      return try controlled(request)
    } catch let error as OrgSettingError {
      return .json(["error": .string(error.description)], status: 400)
    } catch {
      return .json(["error": "the body cannot be read"], status: 400)
    }
  }

  private mutating func controlled(_ request: OrgRequest) throws -> OrgAnswer {
    let body = JSONNode(parsing: request.body) ?? .null
    switch (request.method, String(request.path.dropFirst(Self.controlPrefix.count))) {
    case ("GET", "state"): return .json(try JSONNode(of: state()))
    case ("GET", "issued"): return .json(try JSONNode(of: issued))
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
    case ("POST", "clicks"): return try click(body)
    case ("POST", "accepts"):
      return .json(["accepted": .bool(accepts(key: body["key"]?.text ?? "", secret: body["secret"]?.text ?? ""))])
    default: return .notFound
    }
    return .json(try JSONNode(of: faults.map(\.fault)))
  }

  /// Whether the token endpoint would accept a pair now, apart from the conditions of the org and the app.
  mutating func accepts(key: String, secret: String) -> Bool {
    guard case .accepted = standing(key: key, secret: secret) else { return false }
    return true
  }

  /// What a person does on the Manage Consumer Details page of a connected app, which no API offers. The pairs there
  /// are the first consumer's. `OrgReadings` decides whether a staged pair is accepted before Apply, and the old one
  /// after it.
  private mutating func click(_ body: JSONNode) throws -> OrgAnswer {
    guard let app = appIndex(body["app"]?.text ?? "") else { throw OrgSettingError(name: "app", reason: "no such app") }
    let path = ConsumerPath(app: app, consumer: 0)
    settle(path)
    switch body["click"]?.text {
    case "generate":
      // Generating again shows the pair that is already staged; a replaced pair is shown nowhere.
      if self[path].slot?.state != .active {
        self[path].slot = nil
        _ = stage(path, by: "a person")
      }
    case "apply" where self[path].slot?.state == .active: promote(path, caller: "")
    case "cancel" where self[path].slot?.state == .active: emptySlot(path)
    default:
      throw OrgSettingError(name: "click", reason: "expected generate, or with a staged pair apply or cancel")
    }
    let slot = self[path].slot.flatMap { $0.state == .active ? $0.pair : nil }
    return .json(["key": .string(slot?.key ?? ""), "secret": .string(slot?.secret ?? "")])
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
      throw OrgSettingError(name: "clock", reason: "expected advance, fixed or real")
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
