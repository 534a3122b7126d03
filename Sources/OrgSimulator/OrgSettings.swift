/// Switches that a test, the command line or the control surface sets by name, a few at a time.
package protocol OrgSettings: Codable, Sendable {}

extension OrgSettings {
  /// Sets one switch from `KEY=VALUE`, as a command line gives it.
  package mutating func set(_ assignment: String) throws {
    let parts = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2 else { throw OrgSettingError(name: assignment, reason: "expected KEY=VALUE") }
    let value: JSONNode =
      switch parts[1] {
      case "true": true
      case "false": false
      default: Int(parts[1]).map { .int($0) } ?? Double(parts[1]).map { .number($0) } ?? .string(parts[1])
      }
    try merge(.object([parts[0]: value]))
  }

  /// Sets the members named in `changes` and leaves the others alone; an unknown name or a wrong value throws.
  mutating func merge(_ changes: JSONNode) throws {
    guard case .object(let changed) = changes, case .object(var members) = try JSONNode(of: self) else {
      throw OrgSettingError(name: "settings", reason: "expected a JSON object")
    }
    for (name, value) in changed {
      guard members[name] != nil else {
        throw OrgSettingError(name: name, reason: "expected one of \(members.keys.sorted().joined(separator: ", "))")
      }
      members[name] = value
      // Decoded one by one, so that the error can name the culprit.
      do {
        self = try JSONNode.object(members).decode(Self.self)
      } catch {
        throw OrgSettingError(name: name, reason: "it cannot have that value")
      }
    }
  }
}

/// A switch that does not exist, or a value that it cannot take.
package struct OrgSettingError: Error, Equatable, CustomStringConvertible {
  package let name: String
  package let reason: String

  package var description: String { "org setting \"\(name)\": \(reason)" }
}
