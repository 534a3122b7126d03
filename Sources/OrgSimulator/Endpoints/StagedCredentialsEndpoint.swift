import FoundationEssentials

/// `…/credentials/{app}/{consumer}/staged` and `…/staged/{id}` (Connect, App OAuth Staged Credentials; 65.0).
extension SimulatedOrg {
  mutating func answerStaged(_ call: DataCall, path: ConsumerPath, stagedID: String?) -> OrgAnswer {
    guard let stagedID else {
      switch call.request.method {
      case "GET": return listStaged(call, path: path)
      case "POST": return createStaged(call, path: path)
      default: return .notAllowed(call.request.method)
      }
    }
    if let slot = self[path].slot, IDForm.same(slot.id, stagedID) {
      switch call.request.method {
      case "GET": return .json(shaped(describe(slot, call, path, withSecret: showsSecret()), wrapper: Self.wrapper))
      case "PATCH": return rotate(call, path: path)
      case "DELETE":
        emptySlot(path)
        return .noContent
      default: return .notAllowed(call.request.method)
      }
    }
    if let former = self[path].formerStagedID, IDForm.same(former, stagedID) {
      return answerFormer(call, path: path, id: former)
    }
    return .notFound
  }

  private static let wrapper = "stagedCredentials"

  private mutating func listStaged(_ call: DataCall, path: ConsumerPath) -> OrgAnswer {
    guard let slot = self[path].slot else {
      return readings.emptyStagedList == .notFound ? .notFound : .json(collection([], call, path))
    }
    let withSecret = !readings.stagedListHidesSecrets && showsSecret()
    return .json(collection([describe(slot, call, path, withSecret: withSecret)], call, path))
  }

  /// Documented without a body; clients send `{}` to have a Content-Length.
  private mutating func createStaged(_ call: DataCall, path: ConsumerPath) -> OrgAnswer {
    guard let set = stage(path, by: apps[call.session.path.app].runAsUsername) else {
      return .error(400, "INVALID_OPERATION", "This consumer already has staged credentials.")
    }
    switch readings.stageAnswer {
    case .object:
      let object = describe(set, call, path, withSecret: showsSecret())
      return .json(shaped(object, wrapper: Self.wrapper), status: readings.stageStatus)
    case .collection:
      let withSecret = !readings.stagedListHidesSecrets && showsSecret()
      let members = [describe(set, call, path, withSecret: withSecret)]
      return .json(collection(members, call, path), status: readings.stageStatus)
    }
  }

  private mutating func rotate(_ call: DataCall, path: ConsumerPath) -> OrgAnswer {
    guard JSONNode(parsing: call.request.body)?["command"]?.text == "rotate" else {
      return .error(400, "INVALID_PARAMETER", "Specify a valid command")
    }
    guard let staged = self[path].slot else { return .notFound }
    guard staged.state == .active || (staged.state == .rotated && readings.rotateOnRotated == .swapsBack) else {
      return .error(400, "INVALID_OPERATION", "These credentials cannot be rotated.")
    }
    promote(path, caller: call.token)
    switch readings.rotateAnswer {
    case .noContent:
      return .noContent
    case .promoted:
      return .json(shaped(describe(staged, call, path, withSecret: showsSecret()), wrapper: Self.wrapper))
    case .replaced:
      let shownSet = self[path].slot ?? staged
      return .json(shaped(describe(shownSet, call, path, withSecret: showsSecret()), wrapper: Self.wrapper))
    }
  }

  /// Answers for a promoted set's old id that still names the pair, which is now the primary one.
  private mutating func answerFormer(_ call: DataCall, path: ConsumerPath, id: String) -> OrgAnswer {
    guard let primary = self[path].primary else { return .notFound }
    switch call.request.method {
    case "GET":
      let set = StagedSet(
        id: id, pair: primary, state: .active, createdBy: apps[call.session.path.app].runAsUsername,
        createdDate: primary.acceptedFrom, expirationDate: primary.acceptedFrom.addingTimeInterval(Self.stagedLife))
      return .json(shaped(describe(set, call, path, withSecret: showsSecret()), wrapper: Self.wrapper))
    case "DELETE":
      destroyPrimary(path)
      return .noContent
    case "PATCH": return .error(400, "INVALID_OPERATION", "These credentials cannot be rotated.")
    default: return .notAllowed(call.request.method)
    }
  }

  private func collection(_ members: [JSONNode], _ call: DataCall, _ path: ConsumerPath) -> JSONNode {
    .object([Self.wrapper: .array(members), "url": .string("\(consumerURL(call, path))/staged")])
  }

  private func describe(_ set: StagedSet, _ call: DataCall, _ path: ConsumerPath, withSecret: Bool) -> JSONNode {
    let consumer = consumerURL(call, path)
    let own = "\(consumer)/staged/\(shown(set.id))"
    var members: [String: JSONNode] = [
      "id": .string(shown(set.id)), keyField: .string(set.pair.key), "state": .string(written(set.state)),
      "createdBy": .string(set.createdBy), "createdDate": .string(written(set.createdDate)),
      "expirationDate": .string(written(set.expirationDate)), "stagedCredentialsUrl": .string("\(consumer)/staged"),
      "url": .string(readings.stagedURL == .staged ? own : consumer),
    ]
    if withSecret { members[secretField] = .string(set.pair.secret) }
    return .object(members)
  }

  private func consumerURL(_ call: DataCall, _ path: ConsumerPath) -> String {
    "\(call.root)/apps/oauth/credentials/\(shown(apps[path.app].identifier))/\(shown(self[path].id))"
  }

  private func written(_ state: StagedSet.State) -> String {
    switch readings.stateCase {
    case .capitalized: state.rawValue
    case .upper: state.rawValue.uppercased()
    case .lower: state.rawValue.lowercased()
    }
  }

  /// The forms in which Salesforce's own interfaces write times; which of them this resource uses is not documented.
  private func written(_ date: Date) -> String {
    let style = Date.ISO8601FormatStyle(includingFractionalSeconds: readings.dateForm != .seconds)
    let text = date.formatted(style)
    return readings.dateForm == .offset ? text.replacing("Z", with: "+0000") : text
  }
}
