import JSON
import Sodium
import Storage
import Testing

@testable import Audit

@Suite struct CosignatureTests {
  static let name = "witness.example/w1"

  static func signingKey(_ name: String = name) throws -> SigningKey {
    let seed = SHA256.hash(Array(name.utf8)).bytes
    return try SigningKey(seed: seed.span.bytes)
  }

  static func key(_ name: String = name) throws -> WitnessKey {
    try WitnessKey(name: name, key: signingKey(name).verifyingKey)
  }

  static func checkpoint() throws -> SignedCheckpoint {
    try LogFile.verify(Array(Fixture.file(Fixture.runs()).joined())).checkpoint
  }

  /// The line that the witness `name` answers with at second `time`.
  static func line(_ signed: SignedCheckpoint, time: UInt64 = 1_795_253_000, by name: String = name) throws -> [UInt8] {
    let line = Cosignature.signature(
      over: signed.note.text, time: time, by: try key(name), key: try signingKey(name))
    return Array("— \(line.name) \((line.keyID + line.bytes).base64)\n".utf8)
  }

  @Test("a witness key is read back from its text, and the example of c2sp.org/tlog-cosignature is read")
  func keys() throws {
    let key = try Self.key()
    #expect(try WitnessKey(key.description) == key)
    #expect(key.description.hasPrefix(Self.name + "+"))
    let logKey = try NoteKey(name: Self.name, key: key.key)
    #expect(logKey.id != key.id)
    #expect(throws: AuditError(.malformed, "")) { _ = try WitnessKey(logKey.description) }
    #expect(throws: AuditError(.malformed, "")) { _ = try WitnessKey(key.description + "=") }
    let bytes = Array(key.description.utf8)
    for bit in 0..<bytes.count * 8 {
      guard let text = String(validating: bytes.flipping(bit: bit), as: UTF8.self) else { continue }
      #expect(throws: AuditError(.malformed, ""), "\(text)") { try WitnessKey(text) }
    }
    let example = """
      example.com/behind-the-sofa
      20852163
      CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

      — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
      — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==

      """
    let signed = try SignedCheckpoint(decoding: Array(example.utf8))
    #expect(signed.note.signatures[1].bytes.count == 72)
    #expect(signed.note.signatures[1].bytes.prefix(8).elementsEqual(UInt64(1_679_315_147).bigEndianBytes))
  }

  @Test("an answer counts if it has the witness's line for this checkpoint; lines of others are left out")
  func answers() throws {
    let signed = try Self.checkpoint()
    let stranger = Array("— another.example AAAAAAAAAAAAAAAA\n".utf8)
    let early = try Self.line(signed, time: 1)
    let cosigned = try signed.cosigned(by: Self.key(), answer: stranger + early + Self.line(signed))
    #expect(cosigned.note.signatures.count == 2)
    #expect(try cosigned.cosignature(by: Self.key())?.time == 1_795_253_000)
    #expect(try signed.cosignature(by: Self.key()) == nil)
    // Another answer replaces it.
    let again = try cosigned.cosigned(by: Self.key(), answer: early)
    #expect(try again.cosignature(by: Self.key())?.time == 1)
    #expect(again.note.signatures.count == 2)
    #expect(again.adding(signaturesOf: [cosigned]).note.signatures.count == 3)
    #expect(try cosigned.only([Self.key()])?.note.signatures.count == 1)
    #expect(try signed.only([Self.key()]) == nil)

    let other = try SignedCheckpoint(
      Checkpoint(origin: Fixture.origin, size: 6, root: signed.checkpoint.root), key: Fixture.key(of: "ana"))
    let replayed = try Self.line(other)
    let wrong = try Self.line(signed, by: "witness.example/w2")
    let cases: [(answer: [UInt8], code: AuditError.Code)] = [
      (stranger, .unknownSigner), (wrong, .unknownSigner), (replayed, .badSignature),
      (early + replayed, .badSignature), ([], .malformed), (Array("\n".utf8) + early, .malformed),
      (early.dropLast(), .malformed), (Array("hello\n".utf8), .malformed),
      (Array(repeatElement(early, count: 200).joined()), .malformed),
    ]
    for (answer, code) in cases {
      #expect(throws: AuditError(code, "")) { _ = try signed.cosigned(by: Self.key(), answer: answer) }
    }
  }

  @Test("a line that shares only the name or only the key's ID with a witness's key is another's")
  func namesakes() throws {
    let (signed, key, other) = (try Self.checkpoint(), try Self.key(), try Self.key("witness.example/w2"))
    let lines = [(key.name, other.id), (other.name, key.id)].map { name, id in
      Array("— \(name) \((id + [UInt8](repeating: 1, count: 72)).base64)\n".utf8)
    }
    for line in lines {
      #expect(throws: AuditError(.unknownSigner, "")) { _ = try signed.cosigned(by: key, answer: line) }
    }
    let answer = try lines[0] + Self.line(signed) + lines[1]
    #expect(try signed.cosigned(by: key, answer: answer).note.signatures.count == 2)
    let all = try SignedCheckpoint(decoding: signed.bytes + answer)
    #expect(try all.cosignature(by: key)?.time == 1_795_253_000)
    #expect(all.only([key])?.note.signatures.count == 1)
    // Another answer replaces the line of that key, and no other.
    #expect(try all.cosigned(by: key, answer: Self.line(signed, time: 2)).note.signatures.count == 4)
  }

  @Test("a time that is no timestamp is refused, and one too late for a date is read as the last date")
  func times() throws {
    let signed = try Self.checkpoint()
    for time in [1 << 40, 1 << 48, UInt64(Int64.max)] {
      let late = try signed.cosigned(by: Self.key(), answer: Self.line(signed, time: time))
      #expect(try late.cosignature(by: Self.key())?.moment.description == "9999-12-31T23:59:59.999Z")
    }
    #expect(throws: AuditError(.badSignature, "")) {
      _ = try signed.cosigned(by: Self.key(), answer: Self.line(signed, time: UInt64(Int64.max) + 1))
    }
  }

  @Test("a request has the form of c2sp.org/tlog-witness, and a size is a number and a newline")
  func exchange() throws {
    let signed = try Self.checkpoint()
    let store = try Fixture.log()
    let proof = try AuditLog.consistencyProof(from: 3, to: 7, in: store)
    let text = String(decoding: WitnessExchange.request(proof, signed), as: UTF8.self)
    let parts = text.split(separator: "\n\n", maxSplits: 1).map(String.init)
    #expect(parts[0] == (["old 3"] + proof.path.map { $0.bytes.base64 }).joined(separator: "\n"))
    #expect(parts[1] == String(decoding: signed.bytes, as: UTF8.self))
    let first = try WitnessExchange.request(AuditLog.consistencyProof(from: 0, to: 7, in: store), signed)
    #expect(String(decoding: first, as: UTF8.self).hasPrefix("old 0\n\nrelatch/"))
    #expect(try WitnessExchange.size(Array("20852014\n".utf8)) == 20_852_014)
    #expect(try WitnessExchange.size(Array("18446744073709551615\n".utf8)) == .max)
    for text in ["", "7", "70", "07\n", "+7\n", "7\n\n", " 7\n", "99999999999999999999\n", "7 \n"] {
      #expect(throws: AuditError(.malformed, "")) { _ = try WitnessExchange.size(Array(text.utf8)) }
    }
  }

  @Test(
    "owners' entries say who the witnesses are; one by anybody else, or malformed, makes the log fail verification"
  )
  func entries() throws {
    let key = try Self.key()
    let kinds: [Witness.Kind] = [
      .file(path: "/mnt/usb/note"), .folder(path: "/mnt/worm"), .command(["/usr/bin/ask", "w1"], key),
      .http(url: "https://witness.example/prefix", key),
    ]
    let witnesses = try kinds.enumerated().map { try Witness(name: "w\($0)", kind: $1) }
    for witness in witnesses { #expect(try Witness(witness.json) == witness) }
    let additions = try witnesses.map { try Fixture.entry("ana", "witness.added", at: 2, ["witness": $0.json]) }
    let removal = try Fixture.entry("ana", "witness.removed", at: 3, ["witness": "w1"])
    func log(_ entries: [LogEntry], by name: String = "ana") throws -> LogReport {
      let runs = try Fixture.runs()
      let parts = name == "ana" ? [("ana", runs[0].entries + entries)] : [runs[0], (name, entries)]
      return try LogFile.verify(Array(Fixture.file(parts).joined()))
    }
    let found = try log(additions + [removal]).seen.membership.witnesses
    #expect(found.map(\.witness) == [witnesses[0], witnesses[2], witnesses[3]])
    #expect(found.map(\.entry) == [2, 4, 5])
    let byOperator = try Fixture.entry("bo", "witness.added", at: 2, ["witness": witnesses[0].json])
    #expect(throws: AuditError(.notPermitted, "")) { _ = try log([byOperator], by: "bo") }
    let shapeless = try Fixture.entry("ana", "witness.added", at: 2, ["witness": "w1"])
    #expect(throws: AuditError(.notCanonical, "")) { _ = try log([shapeless]) }
    guard case .object(let members) = witnesses[0].json else { throw AuditError(.malformed, "no object") }
    for more: [String: JSONValue] in [["note": "x"], ["kind": "files"], ["kind": "folders"], ["key": "x"]] {
      let other = JSONValue.object(members.merging(more) { $1 })
      #expect(throws: AuditError(.notCanonical, "")) { _ = try Witness(other) }
    }
    func letters(_ count: Int) -> String { String(repeating: "x", count: count) }
    func program(_ arguments: [String]) -> Witness.Kind { .command(["/p"] + arguments, key) }
    for (name, kind) in [
      (letters(64), kinds[0]), ("w", .file(path: "/" + letters(4095))),
      ("w", .http(url: "http://" + letters(4089), key)), ("w", program(Array(repeating: "", count: 63))),
      ("w", program([letters(4094)])),
    ] as [(String, Witness.Kind)] {
      _ = try Witness(name: name, kind: kind)
    }
    for (name, kind) in [
      (letters(65), kinds[0]), ("w", .file(path: "/" + letters(4096))),
      ("w", .http(url: "http://" + letters(4090), key)), ("w", program(Array(repeating: "", count: 64))),
      ("w", program([letters(4095)])), ("w", program(["a\nb"])), ("w", .http(url: "https://x\u{7F}y", key)),
      ("-w", kinds[0]), (".", kinds[0]), ("..", kinds[1]),
      ("a b", kinds[0]), ("", kinds[0]), ("a/b", kinds[0]), ("w", .file(path: "relative")), ("w", .folder(path: "/x/")),
      ("w", .command([], key)), ("w", .command(["ask"], key)), ("w", .http(url: "ftp://x", key)),
      ("w", .http(url: "https://x/?y", key)), ("w", .http(url: "https://x/", key)), ("w", .file(path: "/a\nb")),
    ] as [(String, Witness.Kind)] {
      #expect(throws: AuditError(.malformed, "")) { _ = try Witness(name: name, kind: kind) }
    }
  }
}
