import Foundation
import Sodium
import Testing

@testable import Delivery

@Suite("A text is searched for a secret in each form that is masked, and in parts")
struct SearchedTextTests {
  private static let words = [
    OutputCaptureTests.word, "vN3xq0Lr8TtYc2Wk5ZbHsD7uFjGmPaE1", "aB3/x9+Q_7-k.T~2", "%a\\b&c'd\"e f\ng<h>i;j",
    "8 bytes!",
  ]

  private static func contains(_ text: String, _ word: String) throws -> Bool {
    try contains(Array(text.utf8)[...], word)
  }

  private static func contains(_ text: ArraySlice<UInt8>, _ word: String) throws -> Bool {
    try SearchedText(SharedSecret(SecretBytes(copying: text.span.bytes))).contains(secret(word))
  }

  @Test("finds one whose first bytes look like the end of an escape that stands before it")
  func afterAnEscape() throws {
    let word = "abcd/fghijklmnopqrst"
    for before in ["%", "100%", "100%25", "&#", "\\", "x"] {
      for said in ["abcd\\/fghijklmnopqrst", "abcd%2Ffghijklmnopqrst"] {
        #expect(try Self.contains(before + said, word), "\(before + said)")
      }
    }
  }

  @Test("finds one in hexadecimal whose last digit looks like the beginning of what follows")
  func beforeAnX() throws {
    #expect(try Self.contains("616263646566676869303132333435363730x", "abcdefghi012345670"))
  }

  @Test("wherever it stands", arguments: OutputCaptureTests.forms.map(\.name))
  func forms(_ name: String) throws {
    let form = try #require(OutputCaptureTests.forms.first { $0.name == name })
    for word in Self.words {
      // A line break in a secret, and a secret of this length, are no matter of these forms.
      guard !name.contains("lines") || word.utf8.count > 20 && !word.contains("\n") else { continue }
      let said = form.of(word)
      // Only what is masked can be found.
      guard try OutputCaptureTests.kept(Array(said.utf8), word: word) != said else { continue }
      for (before, after) in [("", ""), ("key: ", "\n"), ("<a href=\"x?\n", "&amp;y%3D"), ("\\n\\\"", "\\\"")] {
        #expect(try Self.contains(before + said + after, word), "\(word): \(before + said + after)")
      }
      let other = form.of(String(word.map { $0 == "a" ? "o" : $0 == "8" ? "9" : $0 }))
      #expect(try !Self.contains(other, word), "\(word): \(other)")
    }
  }

  /// Of the length and the letters of a Salesforce consumer's secret.
  private static let long = "7F3kQ+0B/vXz9LmN2pRtY6wJcHs8DgUe1ZaKxVb4TyMnCq5WiOjEfSlPrGhAu7d="

  /// A secret in parts, as other formats leave it, by format.
  private static let broken: [(name: String, said: String)] = {
    func lines(_ text: String, of size: Int = 60) -> [String] {
      var (lines, rest) = ([String](), text[...])
      while !rest.isEmpty {
        lines.append(String(rest.prefix(size)))
        rest = rest.dropFirst(size)
      }
      return lines
    }
    let code = lines(Data("id=3MVG9.a\nsecret=\(long)\n".utf8).base64EncodedString())
    let bytes = long.utf8.map { String(format: "0x%02x", $0) }
    func rows(_ size: Int) -> [String] {
      stride(from: 0, to: bytes.count, by: size).map { bytes[$0...].prefix(size).joined(separator: ", ") }
    }
    let escaped = lines(long, of: 16).map { $0.utf8.map { String(format: "\\x%02X", $0) }.joined() }
    let cut = lines(long, of: 20)
    return [
      ("GitHub's contents", #"{"content":"\#(code.joined(separator: #"\n"#))\n"}"#),
      ("PHP's json_encode", code.joined(separator: #"\r\n"#).replacingOccurrences(of: "/", with: #"\/"#)),
      ("JSON in JSON", code.joined(separator: #"\\n"#)),
      ("JSON in JSON in JSON", code.joined(separator: #"\\\\r\\\\n"#)),
      ("a URL", code.joined(separator: "%0D%0A").replacingOccurrences(of: "+", with: "%2B")),
      ("a URL in a URL", code.joined(separator: "%250a")), ("JSON in a URL", code.joined(separator: "%5Cn")),
      ("a page", code.joined(separator: "&#10;")), ("JSON with numbers", code.joined(separator: #"\u000d\u000a"#)),
      ("a notebook", code.joined(separator: "\\n\",\n    \"")),
      ("YAML", "secret: |\n    " + code.joined(separator: "\r\n    ")), ("a comment", code.joined(separator: "\n#\t")),
      ("a diff", "+" + code.joined(separator: "\n+")), ("an answered mail", code.joined(separator: "\r\n> > ")),
      ("a shell", cut.joined(separator: "\\\n")),
      ("xxd -i", "unsigned char env[] = {\n  \(rows(12).joined(separator: ",\n  "))\n};\n"),
      ("xxd -i in JSON", rows(12).joined(separator: #",\n  "#)),
      ("Go", "[]byte{\r\n\t\t\(rows(8).joined(separator: ",\r\n\t\t")),\r\n\t}"),
      ("one byte a line", bytes.joined(separator: ",\n")),
      ("C strings of numbers", "\"\(escaped.joined(separator: "\"\n        \""))\";"),
      ("C", "\"\(cut.joined(separator: "\"\n  \""))\""), ("Java", "\"\(cut.joined(separator: "\"\r\n    + \""))\""),
      ("JavaScript", "'\(cut.joined(separator: "' +\n  '"))'"), ("PHP", "'\(cut.joined(separator: "'.\n'"))'"),
      ("Ruby", "\"\(cut.joined(separator: "\" \\\n  \""))\""), ("one line of source", cut.joined(separator: #"" + ""#)),
      ("source in JSON", cut.joined(separator: #"\" +\n\t\""#)), ("a line in JSON", cut.joined(separator: #"\n"#)),
      ("a part that begins with +", long.replacingOccurrences(of: "+", with: #"\n+"#)),
      ("an indented part that begins with +", long.replacingOccurrences(of: "+", with: "\n  +")),
    ]
  }()

  @Test("in parts that another format put it into, and also in UTF-16", arguments: broken.map(\.name))
  func parts(_ name: String) throws {
    let said = try #require(Self.broken.first { $0.name == name }).said
    for (before, after) in [("", ""), ("key = \"\\\n", "\n\"%")] {
      let text = before + said + after
      #expect(try Self.contains(text, Self.long), "\(text)")
      for encoding in [String.Encoding.utf16, .utf16LittleEndian, .utf16BigEndian] {
        let bytes = try Array(#require(text.data(using: encoding)))
        #expect(try Self.contains(bytes[...], Self.long), "\(encoding): \(text)")
      }
    }
    let other = Self.long.replacingOccurrences(of: "WiOj", with: "WiOk")
    #expect(try !Self.contains(said, other))
  }

  @Test("and a secret that has itself what may stand between parts") func whole() throws {
    for word in ["k3\"+\"q8\\nXw", "a'. 'b'c\\rZ9d"] { #expect(try Self.contains("key: \(word)", word)) }
  }

  @Test("and nothing in a text that is cut off, at any place, before its end")
  func cutOff() throws {
    let joined = #"\n\\r%0D%250A&#10;&#x0A;\u000a\012" +\#n  " '.' =\#r\#n+> "#
    for text in [joined, "a" + joined + joined, #"" , \\\\\\\\\"#, "=", "'", "=%", "=%0", #"\u00"#, "\n+", "\0\0"] {
      let bytes = Array(text.utf8)
      for end in 0...bytes.count {
        #expect(try !Self.contains(bytes[..<end], Self.long))
      }
    }
  }

  @Test("also as a part of what was encoded, at each alignment") func parts() throws {
    for word in Self.words {
      for before in ["", "i", "id", "id:"] {
        let whole = Data("\(before)\(word)\n".utf8).base64EncodedString()
        #expect(try Self.contains("data:\n  client_secret: \(whole)\n", word), "\(before)\(word)")
        #expect(try Self.contains(whole.replacingOccurrences(of: "+", with: "-"), word), "\(before)\(word)")
      }
    }
  }

  @Test("and not elsewhere, nor in a text that is empty") func others() throws {
    let text = Self.words.joined(separator: " ").uppercased()
    for word in Self.words where word.uppercased() != word { #expect(try !Self.contains(text, word), "\(word)") }
    for word in Self.words { #expect(try !Self.contains("", word) && !Self.contains("\\", word)) }
    // What only has all of its windows, in another order.
    #expect(try !Self.contains("12345678 23456789", "123456789"))
  }
}
