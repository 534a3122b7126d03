import Sodium
import Testing

@testable import Age

@Suite("Recipients, identities and identity files")
struct KeyTextTests {
  // The pair that the specification prints.
  private static let recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
  private static let identity = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"

  @Test("the specification's identity gives its recipient, and both are written as they were read")
  func pair() throws {
    let identity = try AgeIdentity(decoding: Array(Self.identity.utf8).span.bytes)
    #expect(
      identity.withScalar { scalar in scalar.withUnsafeBytes { Array($0) } } == [UInt8](repeating: 0x42, count: 32))
    #expect(identity.recipient.description == Self.recipient)
    #expect(try AgeRecipient(Self.recipient) == identity.recipient)
    #expect(try contents(identity.encoded()) == Array(Self.identity.utf8))
  }

  @Test(
    "text that is not exactly a recipient is refused",
    arguments: [
      "", "age", "age1", "AGE1ZVKYG2LQZRAA2LNJVQEJ32NKUU0UES2S82HZRYE869XEEXVN73EQUNUJWJ",
      "age1Zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", recipient + "q", String(recipient.dropLast()),
      recipient + "\n", " " + recipient, "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwk",
      "bge1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
      "age1bvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", identity,
    ])
  func malformedRecipient(_ text: String) {
    #expect(throws: AgeError(.malformedRecipient, "")) { _ = try AgeRecipient(text) }
  }

  @Test(
    "a recipient that is a low-order point is refused",
    arguments: [
      [UInt8](repeating: 0, count: 32), [1] + [UInt8](repeating: 0, count: 31),
      [0xec] + [UInt8](repeating: 0xff, count: 30) + [0x7f],
    ])
  func lowOrderRecipient(_ point: [UInt8]) throws {
    let text = try contents(Bech32.encode(point.span.bytes, prefix: AgeRecipient.prefix))
    #expect(throws: AgeError(.malformedRecipient, "")) { _ = try AgeRecipient(String(decoding: text, as: UTF8.self)) }
  }

  @Test(
    "text that is not exactly an identity is refused, and the error does not repeat it",
    arguments: [
      "", identity.lowercased(), "AGE-SECRET-KEY-1gFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
      identity + "Q", String(identity.dropLast()), identity + "\n",
      "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEA",
      "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR", recipient,
    ])
  func malformedIdentity(_ text: String) {
    let error = #expect(throws: AgeError(.malformedIdentity, "")) {
      _ = try AgeIdentity(decoding: Array(text.utf8).span.bytes)
    }
    #expect(text.count < 10 || error?.description.contains(text.suffix(10)) == false)
  }

  @Test("Bech32 reports which rule was broken")
  func flaws() throws {
    func decode(_ text: String) throws { _ = try Bech32.decode(Array(text.utf8).span.bytes, prefix: "age", count: 32) }
    #expect(throws: Bech32.Flaw.wrongPrefix) { try decode(Self.identity) }
    #expect(throws: Bech32.Flaw.wrongSize(found: 61, expected: 62)) { try decode(String(Self.recipient.dropLast())) }
    #expect(throws: Bech32.Flaw.wrongCharacter(at: 4)) { try decode("age1b" + Self.recipient.dropFirst(5)) }
    #expect(throws: Bech32.Flaw.wrongCharacter(at: 4)) { try decode("age1Z" + Self.recipient.dropFirst(5)) }
    #expect(throws: Bech32.Flaw.wrongChecksum) { try decode("age1q" + Self.recipient.dropFirst(5)) }
    // 32 bytes end within a character; the four bits after them must be zero, even if the checksum is right.
    #expect(throws: Bech32.Flaw.nonZeroPadding) { try decode(Self.nonZeroPadding) }
  }

  // 52 times 31 and the checksum, computed elsewhere.
  private static let nonZeroPadding = "age1llllllllllllllllllllllllllllllllllllllllllllllllllllftvcgd"

  @Test("an identity file is written as age-keygen writes it, and read back")
  func identityFile() throws {
    let identity = try AgeIdentity(decoding: Array(Self.identity.utf8).span.bytes)
    let text = try AgeIdentityFile(identity).encoded(created: "2026-01-02T15:30:45Z")
    let expected =
      "# created: 2026-01-02T15:30:45Z\n# public key: \(Self.recipient)\n\(Self.identity)\n"
    #expect(text.withUnsafeBytes { Array($0) } == Array(expected.utf8))
    let file = try AgeIdentityFile(decoding: text.bytes)
    #expect(file.identities.map(\.recipient) == [identity.recipient])
  }

  @Test(
    "an identity file may have blank lines, comments, CRLF and no final line end",
    arguments: [
      (identity, 1), ("\n#\n\n\(identity)\n\n", 1), ("# a\r\n\r\n\(identity)\r\n\(identity)\r\n", 2),
      ("\(identity)\n\(identity)", 2),
    ])
  func identityFileForms(text: String, count: Int) throws {
    #expect(try AgeIdentityFile(decoding: Array(text.utf8).span.bytes).identities.count == count)
  }

  @Test(
    "an identity file with any other line is refused with the line's number, and one without an identity as such",
    arguments: [
      ("", "no identity"), ("# only a comment\n", "no identity"), ("\(identity)\n x\n", "line 2"),
      ("\n\(identity) \n", "line 2"), ("\(identity)\r", "line 1"), ("\(identity)\n\(recipient)\n", "line 2"),
      ("\(identity)\(identity)\n", "line 1"),
    ])
  func malformedIdentityFile(text: String, part: String) {
    let error = #expect(throws: AgeError(.malformedIdentity, "")) {
      _ = try AgeIdentityFile(decoding: Array(text.utf8).span.bytes)
    }
    #expect(error?.description.contains(part) == true)
    #expect(error?.description.contains("SECRET") == false)
  }

  @Test("a time of creation that contains a line end is refused")
  func createdLine() throws {
    let file = AgeIdentityFile(try AgeIdentity(generating: .system))
    #expect(throws: AgeError(.malformedIdentity, "")) { _ = try file.encoded(created: "now\nAGE-SECRET-KEY-1") }
  }
}
