import Foundation
import Sodium
import Testing
import Vault

@testable import Delivery

@Suite("A hook's output is kept with the pair masked")
struct OutputCaptureTests {
  static let word = "s3cr3t/of+a~client?\"with%all"
  static let id = "3MVG9.id-of_a/client"

  /// What is kept of `said` if it is taken in pieces of `size`.
  static func kept(_ said: [UInt8], size: Int = .max, word: String = word, id: String = id) throws -> String {
    var capture = try OutputCapture(masking: [Pair(clientID: secret(id), clientSecret: secret(word))])
    var start = 0
    while start < said.count {
      let end = start + min(size, said.count - start)
      try Array(said[start..<end]).withUnsafeBytes { try capture.take($0) }
      start = end
    }
    return String(decoding: try capture.finish(), as: UTF8.self)
  }

  static let forms: [(name: String, of: @Sendable (String) -> String)] = [
    ("plain", { $0 }),
    ("hex", { $0.utf8.map { String(format: "%02x", $0) }.joined() }),
    ("HEX with colons", { $0.utf8.map { String(format: "%02X", $0) }.joined(separator: ":") }),
    ("hex with escapes", { $0.utf8.map { String(format: "\\x%02x", $0) }.joined() }),
    (
      "hex in lines",
      { text in
        let digits = text.utf8.map { String(format: "%02x", $0) }
        return digits[..<9].joined() + "\n" + digits[9...].joined()
      }
    ),
    ("reversed", { String($0.reversed()) }),
    ("base64", { Data($0.utf8).base64EncodedString() }),
    (
      "base64 in lines",
      { text in
        let code = Data(text.utf8).base64EncodedString()
        return "\(code.prefix(10))\r\n\(code.dropFirst(10).prefix(10))\n\(code.dropFirst(20))"
      }
    ),
    (
      "base64 in a URL",
      { text in
        Data(text.utf8).base64EncodedString().replacingOccurrences(of: "+", with: "%2B")
          .replacingOccurrences(of: "/", with: "%2f").replacingOccurrences(of: "=", with: "%3D")
      }
    ),
    (
      "base64url",
      { text in
        Data(text.utf8).base64EncodedString().replacingOccurrences(of: "+", with: "-")
          .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
      }
    ),
    ("percent", { $0.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "" }),
    (
      "percent in lower case",
      { text in
        text.utf8.map { byte in
          UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte ? String(UnicodeScalar(byte)) : String(format: "%%%02x", byte)
        }.joined()
      }
    ),
    ("percent throughout", { $0.utf8.map { String(format: "%%%02X", $0) }.joined() }),
    ("JSON", { $0.replacingOccurrences(of: "\"", with: "\\\"").replacingOccurrences(of: "/", with: "\\/") }),
    ("JSON with numbers", { $0.utf8.map { String(format: "\\u%04x", $0) }.joined() }),
    ("octal", { $0.utf8.map { String(format: "\\%03o", $0) }.joined() }),
    ("a folded line", { "\($0.prefix(7))\n\($0.dropFirst(7))" }),
  ]

  @Test("in every form and at every alignment, in one piece or many", arguments: forms.indices, [word, id])
  func everyForm(index: Int, word: String) throws {
    let form = Self.forms[index]
    let said = form.of(word)
    // What is left beside the mask is padding, and what base64 shares with its neighbours.
    for size in [Int.max, 1, 2, 3, 7, 16] {
      let kept = try Self.kept(Array("before \(said) after".utf8), size: size)
      #expect(kept.hasPrefix("before [masked]") && kept.hasSuffix(" after"), "\(form.name), \(size): \(kept)")
      #expect(kept.utf8.count <= "before [masked] after".utf8.count + 9, "\(form.name), \(size): \(kept)")
    }
  }

  @Test("inside a longer base64 text, at every offset", arguments: 0..<6)
  func embedded(length: Int) throws {
    let document = String(repeating: "x", count: length) + #"{"client_secret":""# + Self.word + #""}"#
    let code = Data(document.utf8).base64EncodedString()
    let kept = try Self.kept(Array(code.utf8))
    #expect(kept.contains("[masked]"))
    // All except two characters at either end belong only to the secret.
    let inner = Data(Self.word.utf8).base64EncodedString().dropFirst(4).prefix(8)
    #expect(!kept.contains(inner))
    #expect(kept.utf8.count < code.utf8.count)
  }

  static let odd = "it's\"a\\b$c&d<e> f+/=~*"
  static let foreign = "p\u{E4}ss-\u{20AC}-\u{1F600}-w\u{F6}rd"

  private static func percent(_ text: String, keeping kept: String = "-._~") -> String {
    text.utf8.map { byte in
      let scalar = UnicodeScalar(byte)
      let isKept = scalar.isASCII && (scalar.properties.isAlphabetic || 48...57 ~= byte || kept.utf8.contains(byte))
      return isKept ? String(scalar) : String(format: "%%%02X", byte)
    }.joined()
  }

  private static func json(_ text: String) -> String {
    text.utf16.map { unit in
      switch unit {
      case 0x22: "\\\""
      case 0x5C: "\\\\"
      case 0x20..<0x7F: String(UnicodeScalar(UInt8(unit)))
      default: String(format: "\\u%04x", unit)
      }
    }.joined()
  }

  /// What programs make of a secret with characters that they quote, by program.
  static let quotings: [(name: String, word: String, said: String)] = [
    ("bash -x", odd, odd.replacingOccurrences(of: "'", with: "'\\''")),
    ("Python's shlex.quote", odd, odd.replacingOccurrences(of: "'", with: "'\"'\"'")),
    ("Python's json.dumps", foreign, json(foreign)),
    ("Python's json.dumps in capitals", foreign, json(foreign).replacingOccurrences(of: "\\u20ac", with: "\\u20AC")),
    ("JSON in JSON", odd, json(json(odd))), ("JSON in JSON of other letters", foreign, json(json(foreign))),
    ("JSON in JSON in JSON", odd, json(json(json(odd)))), ("a URL in a URL", odd, percent(percent(odd))),
    ("a URL in a URL in a URL", odd, percent(percent(percent(odd)))), ("percent", foreign, percent(foreign)),
    (
      "a page",
      odd,
      odd.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
        .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
        .replacingOccurrences(of: "'", with: "&#39;")
    ),
    (
      "another page", odd,
      odd.replacingOccurrences(of: "&", with: "&#x26;").replacingOccurrences(of: "+", with: "&#43;")
        .replacingOccurrences(of: "'", with: "&apos;").replacingOccurrences(of: "\"", with: "&#x22;")
        .replacingOccurrences(of: "=", with: "&#061;")
    ),
  ]

  @Test("as programs quote and escape it, in one piece or many", arguments: quotings.indices)
  func everyQuoting(index: Int) throws {
    let (name, word, said) = Self.quotings[index]
    try #require(said != word)
    for size in [Int.max, 1, 2, 3, 7] {
      let kept = try Self.kept(Array("before \(said) after".utf8), size: size, word: word)
      #expect(kept == "before [masked] after", "\(name), \(size)")
    }
  }

  @Test("as OAuth sends it: percent-encoded, then in base64", arguments: ["-._~", "-._~/", "-._*"], 0..<3)
  func basic(kept: String, length: Int) throws {
    let (id, word) = (String(repeating: "i", count: length) + "d@example+", "D1f8/Q:c+%9x=Cw7~z&(k *")
    var said = [Self.percent(id, keeping: kept), Self.percent(word, keeping: kept)].joined(separator: ":")
    if kept.contains("*") { said = said.replacingOccurrences(of: "%20", with: "+") }
    let code = Data(said.utf8).base64EncodedString()
    let masked = try Self.kept(Array("Authorization: Basic \(code)".utf8), word: word, id: id)
    // What is left is padding, and characters that each part shares with its neighbour.
    #expect(masked.hasPrefix("Authorization: Basic [masked]"), "\(code): \(masked)")
    #expect(masked.utf8.count <= "Authorization: Basic [masked][masked]".utf8.count + 10, "\(code): \(masked)")
  }

  @Test("with the same result for pieces of any size")
  func cuts() throws {
    let said = Array("a \(Self.word)\(Self.id) b \(Self.forms[6].of(Self.word)) c \(Self.forms[1].of(Self.id)) d".utf8)
    let whole = try Self.kept(said)
    // The last character of base64 also has bits of the padding.
    #expect(whole == "a [masked] b [masked]A== c [masked] d")
    for size in 1..<said.count { #expect(try Self.kept(said, size: size) == whole, "\(size)") }
  }

  @Test("where the output ends within a secret, after four characters or more")
  func pieces() throws {
    for count in 4..<Self.word.utf8.count {
      #expect(try Self.kept(Array("said \(Self.word.prefix(count))".utf8)) == "said [masked]", "\(count)")
    }
    #expect(try Self.kept(Array("said \(Self.word.prefix(3))".utf8)) == "said \(Self.word.prefix(3))")
  }

  @Test("where one secret contains or overlaps another, or is a single character")
  func overlapping() throws {
    #expect(try Self.kept(Array("abcabcd.".utf8), word: "abcabcd", id: "abc") == "[masked].")
    #expect(try Self.kept(Array("abcabc.".utf8), word: "abcabcd", id: "abc") == "[masked].")
    #expect(try Self.kept(Array("1abcde2".utf8), word: "abcd", id: "cde") == "1[masked]2")
    #expect(try Self.kept(Array("axbx".utf8), word: "x", id: "q") == "a[masked]b[masked]")
  }

  @Test("and endless escapes are masked rather than followed for ever")
  func confusing() throws {
    let word = String(repeating: "\\", count: 60) + "!"
    let said = String(repeating: "\\", count: 300)
    #expect(try Self.kept(Array(said.utf8), word: word).contains("[masked]"))
    let percent = String(repeating: "%25", count: 150)
    #expect(try Self.kept(Array(percent.utf8), word: String(repeating: "%", count: 100)).hasPrefix("[masked]"))
  }

  @Test("and other text is kept as it is; of a long output only the end")
  func rest() throws {
    let said = "%41 100% \\n \\x41 deadbeef 00:11 + done\n"
    #expect(try Self.kept(Array(said.utf8)) == said)
    #expect(try Self.kept([]) == "")
    let much = Array((String(repeating: "line \(Self.word)\n", count: 40_000) + "the end").utf8)
    let kept = try Self.kept(much, size: 5000)
    #expect(kept.utf8.count == OutputCapture.capacity && kept.hasSuffix("[masked]\nthe end"))
    #expect(!kept.contains("s3cr3t"))
  }

  @Test("and is shown on one line that cannot control the terminal")
  func line() {
    #expect(OutputCapture.line(Array("a\n\tb\u{1B}[2J \u{202E}c\n".utf8)) == "a b\\u{1B}[2J \\u{202E}c")
    #expect(OutputCapture.line([0xFF, 0x41]) == "\u{FFFD}A")
    #expect(OutputCapture.line(Array(String(repeating: "x", count: 700).utf8)).count == 602)
    #expect(OutputCapture.line(Array(" \n".utf8)) == "")
  }
}
