import Sodium
import Vault

@testable import Delivery

let deliveryTargets = [
  FuzzTarget("template", seeds: { templates }) { input in
    let (parts, _) = input.withUnsafeBytes { Template.parse($0) }
    guard let parts else { return }
    let again = parts.flatMap { part in
      switch part {
      case .text(let range): Array(input[range])
      case .placeholder(let placeholder): Array("{{\(placeholder.rawValue)}}".utf8)
      }
    }
    require(again == input, "a template whose parts are not the whole")
  },
  FuzzTarget("sink-document", seeds: { secrets }) { input in
    let part = try SecretBytes(copying: input.span.bytes)
    try Pair.check(part, "client_secret")
    let pair = Pair(clientID: try SecretBytes(copying: [UInt8(ascii: "x")].span.bytes), clientSecret: part)
    let document = try SinkDocument.make(pair, .dotenv(prefix: "P"), credential: "c", version: 1)
    let text = document.copy
    let beginning = Array("P_CLIENT_ID=x\nP_CLIENT_SECRET=".utf8)
    require(text.starts(with: beginning) && text.last == 0x0A, "another document")
    require(word(text[beginning.count...].dropLast()) == input, "a secret that a shell reads otherwise")
  },
  FuzzTarget("hook-output", seeds: { [[1, 2, 0, 32], [3, 1, 4, 1, 5], Array("s3cr3t/of+a".utf8)] }) { input in
    // Some bytes stand for a secret, for pieces of it, and for ends of pieces.
    var capture = try OutputCapture(masking: [pair])
    var piece: [UInt8] = []
    for byte in input {
      switch byte {
      case 0:
        try piece.withUnsafeBytes { try capture.take($0) }
        piece = []
      case 1: piece += word
      case 2: piece += word.prefix(11)
      case 3: piece += word.dropFirst(11)
      case 4: piece += word.flatMap { Array("\\x\(String($0 >> 4, radix: 16))\(String($0 & 15, radix: 16))".utf8) }
      case 5: piece += id
      default: piece.append(byte)
      }
    }
    try piece.withUnsafeBytes { try capture.take($0) }
    let kept = try capture.finish()
    for secret in [word, id] {
      let isKept = kept.indices.contains { kept[$0...].starts(with: secret) }
      require(!isKept, "what a hook said has a secret in it")
    }
    let line = OutputCapture.line(kept)
    require(!line.unicodeScalars.contains { $0.value < 0x20 }, "a line that steers a terminal")
  },
]

private let templates = ["id: {{client_id}}\nsecret: {{client_secret}}", "{{name}}{{version}}{"].map { Array($0.utf8) }
private let secrets = ["a b$c", "it's \"so\" `x` \\", "plain-1.2", "é"].map { Array($0.utf8) }
private let word = Array("s3cr3t/of+a~client?\"with%all".utf8)
private let id = Array("3MVG9.id-of_a/client".utf8)
private let pair = made {
  Pair(clientID: try SecretBytes(copying: id.span.bytes), clientSecret: try SecretBytes(copying: word.span.bytes))
}

/// The word that a POSIX shell reads, without expansions; nil if it is not one word, or something would be expanded.
private func word(_ text: ArraySlice<UInt8>) -> [UInt8]? {
  var word: [UInt8] = []
  var text = text
  while let byte = text.popFirst() {
    switch byte {
    case UInt8(ascii: "'"):
      guard let end = text.firstIndex(of: UInt8(ascii: "'")) else { return nil }
      word += text[..<end]
      text = text[(end + 1)...]
    case UInt8(ascii: "\""):
      while true {
        guard let next = text.popFirst() else { return nil }
        if next == UInt8(ascii: "\"") { break }
        if next == UInt8(ascii: "$") || next == UInt8(ascii: "`") { return nil }
        guard next == UInt8(ascii: "\\"), let escaped = text.first, "\"\\$`".utf8.contains(escaped) else {
          word.append(next)
          continue
        }
        text.removeFirst()
        word.append(escaped)
      }
    case _ where " \t\n;&|<>()$`\\*?[]#~!{}".utf8.contains(byte): return nil
    default: word.append(byte)
    }
  }
  return word
}
