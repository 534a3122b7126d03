/// Makes the value of a text that `PlainObject` has found to be canonical: sorted, plain ASCII, without escapes or
/// spaces. It checks nothing again, and must not be given any other text.
struct PlainBuilder {
  private var position: Int

  /// A builder that begins with the value at `position`.
  init(at position: Int = 0) { self.position = position }

  mutating func value(_ bytes: [UInt8]) -> JSONValue {
    switch bytes[position] {
    case UInt8(ascii: "{"): return object(bytes)
    case UInt8(ascii: "["): return array(bytes)
    case UInt8(ascii: "\""): return .string(string(bytes))
    case UInt8(ascii: "t"):
      position += 4
      return .bool(true)
    case UInt8(ascii: "f"):
      position += 5
      return .bool(false)
    case UInt8(ascii: "n"):
      position += 4
      return .null
    default: return .integer(integer(bytes))
    }
  }

  private mutating func object(_ bytes: [UInt8]) -> JSONValue {
    // Room for what most objects have: growing means hashing all names again.
    var members = [String: JSONValue](minimumCapacity: bytes[position + 1] == UInt8(ascii: "}") ? 0 : 8)
    position += 1
    while bytes[position] != UInt8(ascii: "}") {
      let name = string(bytes)
      position += 1
      members[name] = value(bytes)
      if bytes[position] == UInt8(ascii: ",") { position += 1 }
    }
    position += 1
    return .object(members)
  }

  private mutating func array(_ bytes: [UInt8]) -> JSONValue {
    var elements: [JSONValue] = []
    position += 1
    while bytes[position] != UInt8(ascii: "]") {
      elements.append(value(bytes))
      if bytes[position] == UInt8(ascii: ",") { position += 1 }
    }
    position += 1
    return .array(elements)
  }

  private mutating func string(_ bytes: [UInt8]) -> String {
    let start = position + 1
    let end = bytes.span.endOfPlainText(from: start)
    position = end + 1
    return bytes.span.text(at: start..<end)
  }

  private mutating func integer(_ bytes: [UInt8]) -> Int {
    let isNegative = bytes[position] == UInt8(ascii: "-")
    if isNegative { position += 1 }
    var number = 0
    while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
      number = 10 * number + Int(bytes[position] - UInt8(ascii: "0"))
      position += 1
    }
    return isNegative ? -number : number
  }
}
