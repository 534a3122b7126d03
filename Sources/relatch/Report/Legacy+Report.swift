import Audit
import JSON
import Vault

extension Report {
  /// Notes what the owner `owner` has set up and their removal leaves in force, with what takes each back.
  func note(_ left: [Legacy], of owner: String) {
    guard !left.isEmpty else { return }
    var added: [String] = []
    for one in left {
      if case .added(let credential, _) = one { added.append(credential) } else { note(one.text(of: owner)) }
    }
    if !added.isEmpty {
      note("\(owner) added \(added.joined(separator: ", ")): `relatch show NAME` says where their settings lead")
    }
    note("look at these first: what is rotated or revoked goes by them")
  }
}

extension Legacy {
  /// What it is, as `--json` has it in `left` of a `withdrawal`.
  var json: JSONValue {
    let members: [String: JSONValue] =
      switch self {
      case .member(let name, let role): ["kind": "member", "member": .string(name), "role": .string(role.rawValue)]
      case .grant(let credential, let member):
        ["kind": "grant", "credential": .string(credential), "member": .string(member)]
      case .added(let credential, let provider):
        ["kind": "credential", "credential": .string(credential), "provider": .string(provider)]
      case .settings(let credential, let before, let after):
        ["kind": "settings", "credential": .string(credential), "before": .object(before), "after": .object(after)]
      case .administrator(let credential, let before, let after):
        [
          "kind": "administrator", "credential": .string(credential), "before": .string(before),
          "after": .string(after),
        ]
      case .policy(let credential): ["kind": "policy", "credential": .string(credential)]
      case .witness(let name): ["kind": "witness", "witness": .string(name)]
      case .delivery(let word, let name, let credential):
        ["kind": .string(word), "credential": .string(credential), "delivery": .string(name)]
      case .transfer(let credential, let recipient):
        ["kind": "transfer", "credential": .string(credential), "recipient": .string(recipient)]
      }
    return .object(members)
  }

  /// The same in words, with what takes it back.
  fileprivate func text(of owner: String) -> String {
    switch self {
    case .member(let name, let role):
      "\(owner) added the member \(name), an \(role.rawValue): `relatch member remove \(name)`, if they are not meant"
    case .grant(let credential, let member):
      "\(owner) granted \(credential) to \(member): `relatch ungrant \(credential) \(member)` takes that back"
    case .added(let credential, let provider): "\(owner) added \(credential), of provider \(provider)"
    case .settings(let credential, let before, let after):
      "\(owner) changed \(credential): "
        + after.keys.sorted().map { "\($0) from \(Self.text(before[$0])) to \(Self.text(after[$0]))" }
        .joined(separator: ", ") + ": `relatch settings \(credential) KEY=VALUE` sets it right"
    case .administrator(let credential, let before, let after):
      "\(owner) changed \(credential): its administrator from \(before) to \(after): `relatch settings \(credential)"
        + " --admin \(before)` takes that back"
    case .policy(let credential):
      "\(owner) set the policy of \(credential): `relatch policy \(credential)` shows it"
    case .witness(let name):
      "\(owner) added the witness \(name), which no longer gets anything: `relatch log witness remove \(name)`, and add it"
        + " again if it is right"
    case .delivery(let word, let name, let credential):
      "the \(word) \(name) of \(credential) was added by \(owner) and no longer gets anything: remove it, and add it"
        + " again if it is right"
    case .transfer(let credential, let recipient):
      "\(owner) handed \(credential) over to \(recipient): `relatch handoff withdraw \(credential)` takes it back"
    }
  }

  private static func text(_ value: JSONValue?) -> String {
    if case .string(let text)? = value { Name.printable(text) } else { "nothing" }
  }
}
