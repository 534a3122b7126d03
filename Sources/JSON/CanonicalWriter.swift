/// Writes one canonical object (RFC 8785) directly, without building a value first.
///
/// The members of each object must be added in the order of canonical JSON, which is that of their names.
package struct CanonicalWriter {
  /// What has been written so far.
  package private(set) var bytes: [UInt8] = [UInt8(ascii: "{")]

  /// Begins an object that is to have about `capacity` bytes.
  package init(capacity: Int) { bytes.reserveCapacity(capacity) }

  /// Adds a string.
  package mutating func add(_ name: StaticString, _ text: String) {
    begin(name)
    JSONValue.append(text, to: &bytes)
  }

  /// Adds an object that has only strings, given in any order.
  package mutating func add(_ name: StaticString, _ texts: [String: String]) {
    begin(name)
    bytes.append(UInt8(ascii: "{"))
    for (key, text) in texts.sorted(by: { JSONValue.precedes($0.key, $1.key) }) {
      separate()
      JSONValue.append(key, to: &bytes)
      bytes.append(UInt8(ascii: ":"))
      JSONValue.append(text, to: &bytes)
    }
    bytes.append(UInt8(ascii: "}"))
  }

  /// Adds an integer, which must be within `JSONValue.maximumInteger`.
  package mutating func add(_ name: StaticString, _ number: Int) {
    begin(name)
    bytes += String(number).utf8
  }

  /// Adds any value.
  package mutating func add(_ name: StaticString, _ value: JSONValue) {
    begin(name)
    value.append(to: &bytes)
  }

  /// Adds an array with an object for each of `elements`, whose members `members` adds.
  package mutating func add<Element>(
    _ name: StaticString, _ elements: [Element], _ members: (inout CanonicalWriter, Element) -> Void
  ) {
    begin(name)
    bytes.append(UInt8(ascii: "["))
    for element in elements {
      separate()
      bytes.append(UInt8(ascii: "{"))
      members(&self, element)
      bytes.append(UInt8(ascii: "}"))
    }
    bytes.append(UInt8(ascii: "]"))
  }

  /// Ends the object.
  package mutating func end() { bytes.append(UInt8(ascii: "}")) }

  private mutating func begin(_ name: StaticString) {
    separate()
    JSONValue.append(name.description, to: &bytes)
    bytes.append(UInt8(ascii: ":"))
  }

  /// Only the first member or element comes right after the opening bracket.
  private mutating func separate() {
    if bytes.last != UInt8(ascii: "{"), bytes.last != UInt8(ascii: "[") { bytes.append(UInt8(ascii: ",")) }
  }
}
