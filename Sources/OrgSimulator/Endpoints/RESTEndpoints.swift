import FoundationEssentials

/// The few ordinary REST resources that a client uses in passing.
extension SimulatedOrg {
  /// `GET /services/data`: the versions, to anyone.
  func listVersions(_ request: OrgRequest) -> OrgAnswer {
    guard request.method == "GET" else { return .notAllowed(request.method) }
    let seasons = ["Spring", "Summer", "Winter"]
    return .json(
      .array(
        (Self.oldestVersion...max(Self.oldestVersion, conditions.newestVersion)).map { version in
          // 66 is Spring '26, and three releases make a year; winters are named for the year they lead into.
          let year = 26 + Int((Double(version - 66 + (version % 3 == 2 ? 1 : 0)) / 3).rounded(.down))
          return [
            "label": "\(seasons[version % 3]) '\(year)", "url": "/services/data/v\(version).0",
            "version": "\(version).0",
          ]
        }))
  }

  /// `GET /services/data/vNN.0/limits`. Needs "View Setup and Configuration", which only administrators have here.
  func describeLimits(_ call: DataCall) -> OrgAnswer {
    guard call.request.method == "GET" else { return .notAllowed(call.request.method) }
    guard apps[call.session.path.app].isAdmin else { return .insufficientAccess }
    return .json(["DailyApiRequests": ["Max": 100_000, "Remaining": .int(max(0, 100_000 - requests.count))]])
  }

  /// `GET /services/data/vNN.0/query?q=…`: answers with no records, whatever the query.
  func query(_ call: DataCall) -> OrgAnswer {
    guard call.request.method == "GET" else { return .notAllowed(call.request.method) }
    guard call.request.query["q"]?.isEmpty == false else {
      return .error(400, "MALFORMED_QUERY", "SOQL query not specified")
    }
    // For a user who may not read an object, the API does not know that object.
    guard apps[call.session.path.app].conditions.readsObjects else {
      return about(call.session.path, .error(400, "INVALID_TYPE", "sObject type is not supported."))
    }
    return about(call.session.path, .json(["totalSize": 0, "done": true, "records": []]))
  }

  /// `GET …/apps/oauth/usage?page=&pageSize=` (Connect, OAuth App Usage; 59.0). A page past the end is empty.
  func listApps(_ call: DataCall) -> OrgAnswer {
    guard call.request.method == "GET" else { return .notAllowed(call.request.method) }
    guard call.version >= 59 else { return .notFound }
    guard apps[call.session.path.app].isAdmin else { return .insufficientAccess }
    let page = max(0, call.request.query["page"].flatMap { Int($0) } ?? 0)
    let size = min(max(1, call.request.query["pageSize"].flatMap { Int($0) } ?? 100), 200)
    let shownApps = apps.dropFirst(page * size).prefix(size).map { app -> JSONNode in
      [
        "identifier": .string(shown(app.identifier)), "developerName": .string(app.developerName),
        "label": .string(app.developerName), "userCount": 1,
        "usersUrl": .string("\(call.root)/apps/oauth/usage/\(shown(app.identifier))/users"),
      ]
    }
    let url = "\(call.root)/apps/oauth/usage"
    return .json([
      "apps": .array(shownApps), "currentPageUrl": .string("\(url)?page=\(page)&pageSize=\(size)"),
      "nextPageUrl": (page + 1) * size < apps.count ? .string("\(url)?page=\(page + 1)&pageSize=\(size)") : .null,
    ])
  }
}

extension OrgAnswer {
  static let insufficientAccess = error(
    403, "INSUFFICIENT_ACCESS", "You do not have the level of access necessary to perform the operation you requested.")
}
