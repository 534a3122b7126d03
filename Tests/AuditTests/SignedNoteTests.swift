import Sodium
import Testing

@testable import Audit

@Suite struct SignedNoteTests {
  /// From the documentation of Go's golang.org/x/mod/sumdb/note.
  static let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
  static let text = """
    If you think cryptography is the answer to your problem,
    then you don't know what your problem is.

    """
  static let line =
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"

  @Test func aNoteOfGoVerifies() throws {
    let key = try NoteKey(Self.vkey)
    let bytes = Array((Self.text + "\n" + Self.line).utf8)
    let note = try SignedNote(decoding: bytes)
    #expect(key.description == Self.vkey)
    #expect(note.text == Self.text)
    #expect(note.bytes == bytes)
    #expect(note.isSigned(by: key))
    try note.verify(by: key)
  }

  @Test func noBitOfANoteCanChange() throws {
    let key = try NoteKey(Self.vkey)
    let bytes = Array((Self.text + "\n" + Self.line).utf8)
    for bit in 0..<bytes.count * 8 {
      #expect(throws: AuditError.self) { try SignedNote(decoding: bytes.flipping(bit: bit)).verify(by: key) }
    }
    for count in 0..<bytes.count {
      #expect(throws: AuditError.self) { try SignedNote(decoding: Array(bytes[..<count])).verify(by: key) }
    }
  }

  @Test func whatWeSignVerifiesAndOthersSignaturesAreIgnored() throws {
    let key = try Fixture.key(of: "ana")
    let note = try SignedNote(signing: "a\n\nb\n", name: "example.com/log", key: key)
    let both = note.bytes + Array(Self.line.utf8)
    let read = try SignedNote(decoding: both)
    #expect(read.text == "a\n\nb\n")
    #expect(read.signatures.count == 2)
    #expect(read.bytes == both)
    try read.verify(by: NoteKey(name: "example.com/log", key: key.verifyingKey))
    // The line of PeterNeumann belongs to another text.
    #expect(throws: AuditError(.badSignature, "")) { try read.verify(by: NoteKey(Self.vkey)) }
    let stranger = try NoteKey(name: "example.com/log", key: Fixture.key(of: "bo").verifyingKey)
    #expect(throws: AuditError(.unknownSigner, "")) { try read.verify(by: stranger) }
  }

  @Test(arguments: [
    "", "\n", "\n\n", "a\n", "a\n\n", "a\n— x AAAAAAA=\n", "a\n\n— x AAAAAAA=", "a\n\n— x\n", "a\n\n— x \n",
    "a\n\n— x AAAAAA==\n", "a\n\n— x AAAAAAB=\n", "a\n\n— x AAAAAAA\n", "a\n\n- x AAAAAAA=\n", "a\n\n— x+y AAAAAAA=\n",
    "a\n\n— x\u{A0}y AAAAAAA=\n", "a\n\n—  AAAAAAA=\n", "a\n\n— x AAAAAAA= \n", "a\r\n\r\n— x AAAAAAA=\r\n",
    "a\tb\n\n— x AAAAAAA=\n", "a\n\n— x AAAAAAA=\nb\n", "a\n\n— x AA-_AAA=\n", "a\n\n— x AAAAAAA=\n\n",
  ])
  func aNoteOfAnotherFormIsRefused(_ text: String) {
    #expect(throws: AuditError(.malformed, "")) { try SignedNote(decoding: Array(text.utf8)) }
  }

  @Test func aNoteThatIsNotUTF8IsRefused() {
    let bytes = Array("a".utf8) + [0xFF] + Array("\n\n— x AAAAAAA=\n".utf8)
    #expect(throws: AuditError(.malformed, "")) { try SignedNote(decoding: bytes) }
    let name = Array("a\n\n— x".utf8) + [0xC0, 0x80] + Array(" AAAAAAA=\n".utf8)
    #expect(throws: AuditError(.malformed, "")) { try SignedNote(decoding: name) }
    let long = [UInt8](repeating: 0x61, count: SignedNote.maximumSize)
    #expect(throws: AuditError(.malformed, "")) { try SignedNote(decoding: long) }
  }

  @Test func everyLineThatClaimsToBeOfAKeyIs() throws {
    let key = try Fixture.key(of: "ana")
    let note = try SignedNote(signing: "a\n", name: "x", key: key)
    let good = try #require(note.signatures.first)
    let bad = SignedNote.Signature(name: good.name, keyID: good.keyID, bytes: good.bytes.flipping(bit: 0))
    let claimed = try NoteKey(name: "x", key: key.verifyingKey)
    try SignedNote(text: "a\n", signatures: [good, good]).verify(by: claimed)
    for signatures in [[good, bad], [bad, good], [bad]] {
      #expect(throws: AuditError(.badSignature, "")) {
        try SignedNote(text: "a\n", signatures: signatures).verify(by: claimed)
      }
    }
  }

  @Test func aNoteHasNoMoreBytesThanItMay() throws {
    let end = Array("\n\n— x AAAAAAA=\n".utf8)
    let text = [UInt8](repeating: 0x61, count: SignedNote.maximumSize - end.count)
    #expect(try SignedNote(decoding: text + end).signatures.count == 1)
    #expect(throws: AuditError(.malformed, "")) { try SignedNote(decoding: text + [0x61] + end) }
  }

  @Test(arguments: ["", "a", "a\tb\n", "a\r\n"])
  func whatCouldNotBeReadBackIsNotSigned(_ text: String) throws {
    let key = try Fixture.key(of: "ana")
    #expect(throws: AuditError(.malformed, "")) { try SignedNote(signing: text, name: "x", key: key) }
  }

  @Test(arguments: ["", "a b", "a+b", "a\nb", "a\u{1}b", "a\u{2003}b"])
  func aNameThatNoNoteCanHaveIsRefused(_ name: String) throws {
    let key = try Fixture.key(of: "ana").verifyingKey
    #expect(throws: AuditError(.malformed, "")) { try NoteKey(name: name, key: key) }
    #expect(throws: AuditError(.malformed, "")) { try WitnessKey(name: name, key: key) }
    #expect(throws: AuditError(.malformed, "")) { try Checkpoint(origin: name, size: 0, root: MerkleTree.emptyRoot) }
  }

  @Test func noBitOfAKeysTextCanChangeUnnoticed() throws {
    let bytes = Array(Self.vkey.utf8)
    for bit in 0..<bytes.count * 8 {
      guard let text = String(validating: bytes.flipping(bit: bit), as: UTF8.self) else { continue }
      #expect(throws: AuditError(.malformed, ""), "\(text)") { try NoteKey(text) }
    }
    for text in ["", "+", "++", "a+c74f20a3", "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"] {
      #expect(throws: AuditError(.malformed, "")) { try NoteKey(text) }
    }
  }

  @Test func aCheckpointIsReadStrictlyAndKeepsItsExtensions() throws {
    let root = MerkleTree.emptyRoot.bytes.base64
    let text = "example.com/log\n17\n\(root)\nan extension\nanother\n"
    let checkpoint = try Checkpoint(text: text)
    #expect(checkpoint.size == 17)
    #expect(checkpoint.root == MerkleTree.emptyRoot)
    #expect(checkpoint.extensions == ["an extension", "another"])
    #expect(checkpoint.text == text)
    #expect(try Checkpoint(text: "o\n0\n\(root)\n").size == 0)
    #expect(try Checkpoint(text: "o\n18446744073709551615\n\(root)\n").size == .max)
    for bad in [
      "", "\n", "o\n1\n", "o\n1\n\(root)", "\n1\n\(root)\n", "o\n01\n\(root)\n", "o\n+1\n\(root)\n", "o\n-1\n\(root)\n",
      "o\n\n\(root)\n", "o\n18446744073709551616\n\(root)\n", "o\n1 \n\(root)\n", "o\n١\n\(root)\n", "o\n1\n\(root)=\n",
      "o\n1\n\(root.dropLast())\n", "o\n1\nAAAA\n", "o\n1\n\(root)\n\n", "o\n1\n\(root)\n\nx\n", "o\n1\n\(root)\nx",
    ] {
      #expect(throws: AuditError(.malformed, ""), "\(bad)") { try Checkpoint(text: bad) }
    }
  }
}
