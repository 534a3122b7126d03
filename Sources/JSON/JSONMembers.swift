/// A reader of one object's members that knows which were asked for, so that a decoder can refuse the rest.
package struct JSONMembers {
  private let members: [String: JSONValue]
  /// Each name once. There are few of them, and comparing a few is faster than hashing.
  private var asked: [String] = []
  private let what: String

  /// The members of `value`, which must be an object; `what` names it in errors.
  package init(of value: JSONValue, _ what: String) throws(JSONError) {
    guard case .object(let members) = value else { throw JSONError(.wrongType, "\(what): expected an object") }
    self.members = members
    self.what = what
  }

  /// A member of any kind.
  package mutating func value(_ name: String) throws(JSONError) -> JSONValue { try required(name) }

  /// A member that must be a string.
  package mutating func string(_ name: String) throws(JSONError) -> String {
    guard case .string(let text) = try required(name) else { throw wrongType(name, "a string") }
    return text
  }

  /// A member that is a string if it is there.
  package mutating func optionalString(_ name: String) throws(JSONError) -> String? {
    members[name] == nil ? nil : try string(name)
  }

  /// A member of any kind, or nil if there is none of that name.
  package mutating func optionalValue(_ name: String) throws(JSONError) -> JSONValue? {
    members[name] == nil ? nil : try required(name)
  }

  /// A member that must be an integer from 0.
  package mutating func count(_ name: String) throws(JSONError) -> Int {
    guard case .integer(let value) = try required(name), value >= 0 else { throw wrongType(name, "an integer from 0") }
    return value
  }

  /// A member that is an integer from 0 if it is there.
  package mutating func optionalCount(_ name: String) throws(JSONError) -> Int? {
    members[name] == nil ? nil : try count(name)
  }

  /// A member that must be an array.
  package mutating func array(_ name: String) throws(JSONError) -> [JSONValue] {
    guard case .array(let elements) = try required(name) else { throw wrongType(name, "an array") }
    return elements
  }

  /// A member that is an array if it is there.
  package mutating func optionalArray(_ name: String) throws(JSONError) -> [JSONValue]? {
    members[name] == nil ? nil : try array(name)
  }

  /// A member that must be an object with only strings.
  package mutating func strings(_ name: String) throws(JSONError) -> [String: String] {
    guard case .object(let object) = try required(name) else { throw wrongType(name, "an object") }
    var strings: [String: String] = [:]
    for (key, value) in object {
      guard case .string(let text) = value else { throw wrongType("\(name).\(key)", "a string") }
      strings[key] = text
    }
    return strings
  }

  /// Fails if the object has members nobody asked for: a strict format has no room for what its reader does not know.
  package func finish() throws(JSONError) {
    guard asked.count < members.count else { return }
    if let stranger = members.keys.filter({ !asked.contains($0) }).min() {
      throw JSONError(.unknownMember, "\(what): unknown member \"\(stranger)\"")
    }
  }

  private mutating func required(_ name: String) throws(JSONError) -> JSONValue {
    guard let value = members[name] else { throw JSONError(.missing, "\(what): member \"\(name)\" is missing") }
    if !asked.contains(name) { asked.append(name) }
    return value
  }

  private func wrongType(_ name: String, _ expected: String) -> JSONError {
    JSONError(.wrongType, "\(what): member \"\(name)\" must be \(expected)")
  }
}
