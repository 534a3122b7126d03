import Sodium
import Testing

@testable import Age

@Suite("Header, stanza and armor grammar")
struct GrammarTests {
  private static let code = "--- sXw327YMT1/ULXe+ZyRMbMY0Z2jnWHGgI9j1we6yQ8A\n"

  @Test(
    "a header that breaks the grammar is refused",
    arguments: [
      "age-encryption.org/\n", "age-encryption.org/v1", "age-encryption.org/v1 \n", "age-encryption.org/v1\n",
      "age-encryption.org/v1\n\(code)",
      "age-encryption.org/v1\n-> \n\n\(code)", "age-encryption.org/v1\n->\n\n\(code)",
      "age-encryption.org/v1\n->a\n\n\(code)", "age-encryption.org/v1\n-> a \n\n\(code)",
      "age-encryption.org/v1\n-> a  b\n\n\(code)", "age-encryption.org/v1\n-> a\tb\n\n\(code)",
      "age-encryption.org/v1\n-> é\n\n\(code)", "age-encryption.org/v1\n-> a\n\(code)",
      "age-encryption.org/v1\n-> a\nA\n\(code)", "age-encryption.org/v1\n-> a\nAB\n\(code)",
      "age-encryption.org/v1\n-> a\nAA==\n\(code)", "age-encryption.org/v1\n-> a\n\n\n\(code)",
      "age-encryption.org/v1\n-> a\n\n---\n", "age-encryption.org/v1\n-> a\n\n--- \n",
      "age-encryption.org/v1\n-> a\n\n--- AAAA\n", "age-encryption.org/v1\n-> a\n\n\(code.dropLast())",
    ])
  func malformed(_ text: String) {
    #expect(throws: AgeError(.malformedHeader, ""), "\(text.debugDescription)") {
      _ = try Header(parsing: Array(text.utf8).span.bytes)
    }
  }

  @Test("a stanza is read back as it was encoded", arguments: [0, 1, 46, 47, 48, 49, 95, 96, 97])
  func stanza(size: Int) throws {
    let stanza = Stanza([Array("a".utf8), Array("b~!".utf8)], body: [UInt8](repeating: 0xA5, count: size))
    var reader = LineReader(stanza.encoded())
    let first = reader.line()
    let line = try #require(first)
    #expect(try Stanza(argumentLine: line, bodyFrom: &reader) == stanza)
    #expect(reader.isAtEnd)
  }

  @Test("a file with a stanza of an unknown type opens")
  func unknownStanza() throws {
    let identity = try AgeIdentity(generating: .system)
    let fileKey = try Randomness.system.secret(FileKey.size)
    let stanzas = [
      Stanza([Array("example.com/enigma".utf8)], body: []),
      try X25519Stanza.wrap(fileKey, to: identity.recipient, randomness: .system),
    ]
    let header = try Header.encode(stanzas, fileKey: fileKey)
    let message: [UInt8] = [9]
    let file = header + (try Payload.seal(message.span.bytes, fileKey: fileKey, randomness: .system))
    #expect(try contents(AgeFile.open(file.span.bytes, with: [identity])) == message)
  }

  @Test("a stanza body of the wrong size is refused before anything is decrypted", arguments: [31, 33, 48])
  func bodySize(size: Int) throws {
    let body = [UInt8](repeating: 0, count: size)
    let share = [UInt8](repeating: 9, count: 32).base64(padding: .none)
    let salt = [UInt8](repeating: 9, count: 16).base64(padding: .none)
    #expect(throws: AgeError(.malformedHeader, "")) {
      _ = try X25519Stanza(Stanza([Array("X25519".utf8), share], body: body))
    }
    #expect(throws: AgeError(.malformedHeader, "")) {
      _ = try ScryptStanza(Stanza([Array("scrypt".utf8), salt, Array("10".utf8)], body: body))
    }
  }

  @Test(
    "unpadded base64 is accepted in its canonical form only",
    arguments: [
      ("", 0), ("AA", 1), ("AAA", 2), ("AAAA", 3), ("+/", nil), ("+g", 1), ("AB", nil), ("AAB", nil), ("A", nil),
      ("AAAAA", nil), ("AA==", nil), ("A-", nil), ("A A", nil),
    ] as [(String, Int?)])
  func base64(text: String, count: Int?) {
    #expect([UInt8](base64: text.utf8, padding: .none)?.count == count)
  }

  @Test(
    "padded base64 is accepted in its canonical form only",
    arguments: [
      ("", 0), ("AA==", 1), ("AAA=", 2), ("AAAA", 3), ("AA", nil), ("AA=", nil), ("A===", nil), ("====", nil),
      ("AAAA====", nil), ("AA==AAAA", nil), ("AB==", nil),
    ] as [(String, Int?)])
  func paddedBase64(text: String, count: Int?) {
    #expect([UInt8](base64: text.utf8, padding: .required)?.count == count)
  }

  private static let begin = "-----BEGIN AGE ENCRYPTED FILE-----"
  private static let end = "-----END AGE ENCRYPTED FILE-----"

  @Test(
    "armor is accepted with LF or CRLF, without a final line end, and between blank lines",
    arguments: [
      "\(begin)\nAAAA\n\(end)\n", "\(begin)\nAAAA\n\(end)", "\(begin)\r\nAAAA\r\n\(end)\r\n",
      "\(begin)\r\nAAAA\r\n\(end)",
      "\n \t\r\n\(begin)\nAAAA\n\(end)\n\n \t\r\n",
    ])
  func armor(_ text: String) throws {
    #expect(try Armor.decode(Array(text.utf8).span.bytes) == [0, 0, 0])
  }

  @Test(
    "armor in any other form is refused",
    arguments: [
      " \(begin)\nAAAA\n\(end)\n", "\(begin) \nAAAA\n\(end)\n", "\(begin)\nAAAA\n\(end) \n",
      "\(begin)\nAAAA\n \(end)\n",
      "\(begin)\nAAAA\(end)\n", "\(begin)AAAA\n\(end)\n", "\(begin)\nAAAA\r\n\(end)\n", "\(begin)\r\nAAAA\n\(end)\r\n",
      "\(begin)\rAAAA\r\(end)\r", "\(begin)\nAAAA\n\n\(end)\n", "\(begin)\n\nAAAA\n\(end)\n",
      "\(begin)\nAA==\nAA==\n\(end)\n",
      "\(begin)\nAAAA\nAAAA\n\(end)\n", "\(begin)\nAAA\n\(end)\n", "\(begin)\n\(end)\n\(end)\n", "\(begin)\n",
      "\(begin)",
      "-----BEGIN AGE ENCRYPTED FILE----END AGE ENCRYPTED FILE-----", "\(begin)\(end)", "x\(begin)\nAAAA\n\(end)\n",
      "\(begin)\nVersion: 1\n\nAAAA\n\(end)\n", "\(begin)\nAAAA\n\(end)\n\(begin)\nAAAA\n\(end)\n",
    ])
  func malformedArmor(_ text: String) {
    #expect(throws: AgeError(.malformedArmor, ""), "\(text.debugDescription)") {
      _ = try Armor.decode(Array(text.utf8).span.bytes)
    }
  }
}
