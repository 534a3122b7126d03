import FoundationEssentials

/// `…/apps/oauth/credentials/{app}` and below (Connect, OAuth Credentials; 60.0, staged ones 65.0).
extension SimulatedOrg {
  mutating func answerCredentials(_ call: DataCall) -> OrgAnswer {
    let ids = Array(call.rest.dropFirst(3))
    guard call.version >= 60, let appID = ids.first else { return .notFound }
    let caller = apps[call.session.path.app]
    guard caller.isAdmin, caller.conditions.isPermitted else { return .insufficientAccess }
    guard let app = appIndex(appID) else { return .notFound }
    guard ids.count > 1 else {
      var answer = listConsumers(call, app: app)
      answer.app = apps[app].identifier
      return answer
    }
    guard let path = path(app: appID, consumer: ids[1]) else { return .notFound }
    settle(path)
    if ids.count == 2 {
      let answer = describeConsumer(call, path: path)
      return about(path, answer)
    }
    guard ids[2] == "staged", ids.count <= 4, call.version >= 65 else { return .notFound }
    guard readings.selfRotationAllowed || app != call.session.path.app else { return about(path, .insufficientAccess) }
    guard conditions.restSecretAccess else { return about(path, .restSecretAccessOff) }
    let answer = answerStaged(call, path: path, stagedID: ids.count == 4 ? ids[3] : nil)
    return about(path, answer)
  }

  private func listConsumers(_ call: DataCall, app: Int) -> OrgAnswer {
    guard call.request.method == "GET" else { return .notAllowed(call.request.method) }
    let root = "\(call.root)/apps/oauth/credentials/\(shown(apps[app].identifier))"
    let consumers = apps[app].consumers.map { consumer -> JSONNode in
      let url = "\(root)/\(shown(consumer.id))"
      return .object([
        consumerIDField: .string(shown(consumer.id)),
        keyField: consumer.primary.map { .string($0.key) } ?? .null, "name": .string(consumer.name),
        "stagedCredentialsUrl": .string("\(url)/staged"), "url": .string(url),
      ])
    }
    return .json(["consumers": .array(consumers), "currentPageUrl": .string(root), "nextPageUrl": .null])
  }

  /// `?part=key|secret|keyandsecret`; the default is only the key.
  private mutating func describeConsumer(_ call: DataCall, path: ConsumerPath) -> OrgAnswer {
    guard call.request.method == "GET" else { return .notAllowed(call.request.method) }
    let part = (call.request.query["part"] ?? "key").lowercased()
    guard ["key", "secret", "keyandsecret"].contains(part) else {
      return .error(400, "INVALID_PARAMETER", "Invalid value for parameter part")
    }
    guard part == "key" || conditions.restSecretAccess else { return .restSecretAccessOff }
    var members: [String: JSONNode] = [consumerIDField: .string(shown(self[path].id))]
    if part != "secret" { members[keyField] = self[path].primary.map { .string($0.key) } ?? .null }
    if part != "key", showsSecret() { members[secretField] = self[path].primary.map { .string($0.secret) } ?? .null }
    return .json(shaped(.object(members), wrapper: "credentials"))
  }

  /// Whether this answer includes its secrets; uses up one of the answers that lack them.
  mutating func showsSecret() -> Bool {
    guard conditions.answersWithoutSecret > 0 else { return true }
    conditions.answersWithoutSecret -= 1
    return false
  }

  /// One object in the shape that this org's readings prescribe.
  func shaped(_ object: JSONNode, wrapper: String) -> JSONNode {
    switch readings.objectShape {
    case .topLevel: object
    case .array: [object]
    case .wrapped: .object([wrapper: object])
    }
  }

  var keyField: String { readings.fieldNames == .keyAndSecret ? "key" : "consumerKey" }
  var secretField: String { readings.fieldNames == .keyAndSecret ? "secret" : "consumerSecret" }
  private var consumerIDField: String { readings.fieldNames == .keyAndSecret ? "id" : "consumerId" }
}

extension OrgAnswer {
  static let restSecretAccessOff = error(
    403, "FUNCTIONALITY_NOT_ENABLED", "This feature is not currently enabled for this user type or org.")
}
