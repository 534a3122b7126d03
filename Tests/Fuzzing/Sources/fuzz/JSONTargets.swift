import Sodium

@testable import JSON

let jsonTargets = [
  FuzzTarget("canonical-json", seeds: { texts }) { input in
    let value = try JSONValue(reading: input)
    let canonical = value.canonicalBytes
    if PlainObject.isCanonical(input.span, { _, _ in }) {
      require(canonical == input, "a plain object that is not canonical")
    }
    let strict = try? JSONValue(readingCanonical: input)
    require((strict != nil) == (canonical == input), "another answer than the canonical text gives")
    let again = try? JSONValue(readingCanonical: canonical)
    require(again?.canonicalBytes == canonical, "a canonical text that is not read as such")
  },
  FuzzTarget("json", seeds: { texts }) { input in
    let document = try guarded(input)
    let node = try document.secret.withBytes { bytes throws(JSONError) in try JSONNode(reading: bytes) }
    var left = 64
    try document.secret.withBytes { bytes in try look(at: node, in: bytes, &left) }
  },
]

private let texts = [
  #"{"a":[1,-2,0,true,false,null],"b":{"c":"d"},"é":"\u0001\n\\\"","漢":"𝄞"}"#,
  #" { "x" : [ 1.5e+3 , "\ud834\udd1e\/" ] } "#, #"{"client_id":"3MVG9","client_secret":"quote \" é"}"#, "[[[[]]]]",
].map { Array($0.utf8) }

/// Reads every string of a node in every possible way; the results must agree.
private func look(at node: JSONNode, in bytes: RawSpan, _ left: inout Int) throws {
  switch node {
  case .array(let elements): for element in elements { try look(at: element, in: bytes, &left) }
  case .object(let members): for member in members { try look(at: member.value, in: bytes, &left) }
  case .string:
    let text = Array(try node.text(in: bytes).utf8)
    if let range = node.verbatim(in: bytes) {
      require(bytes.withUnsafeBytes { Array($0[range]) } == text, "a string without escapes that is another")
    }
    left -= 1
    guard left > 0 else { return }
    let written = try SecretBytes(capacity: node.capacity) { try node.write(to: &$0, in: bytes) }
    require(written.copy == text, "a string that is written otherwise than read")
  case .number(let range): require(!range.isEmpty, "a number without digits")
  case .null, .bool: break
  }
}
