import Foundation
import JSON
import Sodium
import Testing

@testable import Audit

/// The vectors in `vault/vectors`: made here from fixed seeds, compared byte for byte with the files, then read as a
/// second implementation would read them. `RELATCH_RECORD_VECTORS=1` writes the files again, and fails once so that
/// nobody records by accident.
@Suite(.serialized) struct VectorTests {
  /// One file: header lines `name: value`, an empty line, and bytes.
  struct Vector {
    var headers: [(name: String, value: String)]
    var bytes: [UInt8]

    var text: [UInt8] { Array((headers.map { "\($0.name): \($0.value)\n" }.joined() + "\n").utf8) + bytes }

    init(_ headers: KeyValuePairs<String, String>, _ bytes: [UInt8]) {
      self.headers = headers.map { (name: $0.key, value: $0.value) }
      self.bytes = bytes
    }

    init(reading text: [UInt8]) throws {
      let end = try #require(text.indices.dropLast().first { text[$0] == 0x0A && text[$0 + 1] == 0x0A })
      headers = try String(decoding: text[..<end], as: UTF8.self).split(separator: "\n").map { line in
        let colon = try #require(line.range(of: ": "))
        return (String(line[..<colon.lowerBound]), String(line[colon.upperBound...]))
      }
      bytes = Array(text[(end + 2)...])
    }

    subscript(name: String) -> String? { headers.first { $0.name == name }?.value }
  }

  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../vault/vectors")

  @Test func theFilesAreWhatTheSeedsGive() throws {
    let record = ProcessInfo.processInfo.environment["RELATCH_RECORD_VECTORS"] == "1"
    for (path, vector) in try Self.logs().merging(Self.checkpoints(), uniquingKeysWith: { $1 })
      .merging(Self.bundles(), uniquingKeysWith: { $1 }).merging(Self.cosignatures(), uniquingKeysWith: { $1 })
    {
      let file = Self.folder.appending(path: path)
      if record {
        try FileManager.default.createDirectory(
          at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(vector.text).write(to: file)
      }
      #expect(try Array(Data(contentsOf: file)) == vector.text, "\(path)")
    }
    if record { Issue.record("vectors were recorded; run again without RELATCH_RECORD_VECTORS") }
  }

  @Test(arguments: ["log", "checkpoint", "bundle", "cosignature"])
  func everyFileIsReadAsItSays(_ kind: String) throws {
    let folder = Self.folder.appending(path: kind)
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    #expect(!files.isEmpty)
    for file in files {
      let vector = try Vector(reading: Array(Data(contentsOf: file)))
      let known: Set = ["expect", "entry", "owner", "remembered", "key", "comment", "time"]
      for header in vector.headers { #expect(known.contains(header.name), "\(file.lastPathComponent)") }
      let found: (code: String, entry: UInt64?)
      do {
        switch kind {
        case "log": _ = try Self.verifyLog(vector)
        case "bundle": _ = try Self.verifyBundle(vector)
        case "cosignature": try Self.verifyCosignature(vector)
        default: try Self.verifyCheckpoint(vector)
        }
        found = ("valid", nil)
      } catch let error as AuditError { found = (error.code.rawValue, error.entry) }
      #expect(found.code == vector["expect"], "\(file.lastPathComponent)")
      if kind == "log" { #expect(found.entry.map(String.init) == vector["entry"], "\(file.lastPathComponent)") }
    }
  }

  @Test func theSpecificationsOpenWithTheVectors() throws {
    let log = try Vector(reading: Array(Data(contentsOf: Self.folder.appending(path: "log/two-members.txt"))))
    let example = String(decoding: log.bytes, as: UTF8.self)
    let newest = try LogFile.verify(log.bytes).checkpoint
    for (page, part) in [("log.md", example), ("checkpoint.md", String(decoding: newest.bytes, as: UTF8.self))] {
      let text = try String(contentsOf: Self.folder.appending(path: "../\(page)"), encoding: .utf8)
      #expect(text.contains("```\n\(part)```\n"), "\(page)")
    }
    let cosigned = try Vector(reading: Array(Data(contentsOf: Self.folder.appending(path: "cosignature/valid.txt"))))
    let witness = try String(contentsOf: Self.folder.appending(path: "../witness.md"), encoding: .utf8)
    #expect(witness.contains("```\n\(String(decoding: cosigned.bytes, as: UTF8.self))```\n"), "witness.md")
    let page = try String(contentsOf: Self.folder.appending(path: "../bundle.md"), encoding: .utf8)
    let bundle = try Vector(reading: Array(Data(contentsOf: Self.folder.appending(path: "bundle/valid.txt"))))
    for line in bundle.bytes.split(separator: 0x0A).prefix(2) {
      #expect(page.contains("\n\(String(decoding: line, as: UTF8.self))\n"), "bundle.md")
    }
  }

  static func verifyLog(_ vector: Vector) throws -> LogReport {
    let remembered = try vector["remembered"].map { text in
      let words = text.split(separator: " ").map(String.init)
      return try Checkpoint(text: words.joined(separator: "\n") + "\n")
    }
    return try LogFile.verify(
      vector.bytes,
      expecting: LogExpectations(
        owner: try vector["owner"].map { try NoteKey($0) }, remembered: remembered.map { [$0] } ?? []))
  }

  static func verifyBundle(_ vector: Vector) throws -> BundleReport {
    try BundleTests.verify(vector.bytes, expecting: LogExpectations(owner: vector["owner"].map { try NoteKey($0) }))
  }

  /// Bundles about what happened to `crm/prod` from the fourth entry on, and what can be wrong with them.
  static func bundles() throws -> [String: Vector] {
    let lines = try BundleTests.lines(of: BundleTests.late)
    func file(_ change: (inout [[UInt8]]) -> Void = { _ in }) -> [UInt8] {
      var copy = lines
      change(&copy)
      return Array(copy.map { $0 + [0x0A] }.joined())
    }
    let owner = try NoteKey(name: Fixture.origin, key: Fixture.key(of: "ana").verifyingKey).description
    let stranger = try NoteKey(name: Fixture.origin, key: Fixture.key(of: "bo").verifyingKey).description
    return [
      "bundle/valid.txt": Vector(["expect": "valid", "owner": owner], file()),
      "bundle/another-owner.txt": Vector(["expect": "inconsistent", "owner": stranger], file()),
      "bundle/another-entry.txt": Vector(["expect": "badProof"], file { $0.swapAt(9, 11) }),
      "bundle/no-genesis.txt": Vector(["expect": "incomplete"], file { $0.removeSubrange(3...4) }),
      "bundle/no-newest.txt": Vector(["expect": "malformed"], file { $0.remove(at: 1) }),
      "bundle/unknown-member.txt": Vector(["expect": "unknownSigner"], file { $0.removeSubrange(5...6) }),
      "bundle/cut-off.txt": Vector(["expect": "incomplete"], file { $0.removeLast() }),
      "bundle/lost-entry.txt": Vector(
        ["expect": "incomplete"], file { $0.removeSubrange($0.count - 3...$0.count - 2) }),
      "bundle/another-format.txt": Vector(
        ["expect": "malformed"],
        file { $0[0] = Array(String(decoding: $0[0], as: UTF8.self).replacing("\"v\":1", with: "\"v\":2").utf8) }),
    ]
  }

  static func verifyCheckpoint(_ vector: Vector) throws {
    let key = try NoteKey(#require(vector["key"]))
    try SignedCheckpoint(decoding: vector.bytes).note.verify(by: key)
  }

  static func verifyCosignature(_ vector: Vector) throws {
    let key = try WitnessKey(#require(vector["key"]))
    let found = try SignedCheckpoint(decoding: vector.bytes).cosignature(by: key)
    guard let found else { throw AuditError(.unknownSigner, "no line of \(key.name)") }
    #expect(vector["time"] == String(found.time))
  }

  /// A cosigned checkpoint, and what can be wrong with one.
  static func cosignatures() throws -> [String: Vector] {
    let key = try CosignatureTests.key().description
    let signed = try CosignatureTests.checkpoint()
    let good = signed.bytes + (try CosignatureTests.line(signed))
    let text = String(decoding: good, as: UTF8.self)
    let logKey = try NoteKey(name: CosignatureTests.name, key: CosignatureTests.signingKey().verifyingKey).description
    // Signed as a log signs, without the two lines that a witness puts first.
    let plain = try SignedNote(
      signing: signed.note.text, name: CosignatureTests.name, key: CosignatureTests.signingKey())
    let line = "— \(CosignatureTests.name) "
    let bare = (try CosignatureTests.key().id + [0, 0, 0, 0, 0, 0, 0, 1] + plain.signatures[0].bytes).base64
    return [
      "cosignature/valid.txt": Vector(["expect": "valid", "key": key, "time": "1795253000"], good),
      "cosignature/not-cosigned.txt": Vector(["expect": "unknownSigner", "key": key], signed.bytes),
      "cosignature/of-another-size.txt": Vector(
        ["expect": "badSignature", "key": key], Array(text.replacing("\n7\n", with: "\n6\n").utf8)),
      "cosignature/without-its-two-lines.txt": Vector(
        ["expect": "badSignature", "key": key], signed.bytes + "\(line)\(bare)\n".utf8),
      "cosignature/key-of-a-log.txt": Vector(["expect": "malformed", "key": logKey], good),
      "cosignature/time-too-large.txt": Vector(
        ["expect": "badSignature", "key": key], signed.bytes + (try CosignatureTests.line(signed, time: 1 << 63))),
    ]
  }

  static func logs() throws -> [String: Vector] {
    let runs = try Fixture.runs()
    let parts = try Fixture.file(runs)
    let good = Array(parts.joined())
    let newest = try LogFile.verify(good).checkpoint.checkpoint
    let remembered = "\(newest.origin) \(newest.size) \(newest.root.bytes.base64)"
    func join(_ change: (inout [[UInt8]]) throws -> Void) rethrows -> [UInt8] {
      var copy = parts
      try change(&copy)
      return Array(copy.joined())
    }
    let owner = try NoteKey(name: Fixture.origin, key: Fixture.key(of: "ana").verifyingKey).description
    let stranger = try NoteKey(name: Fixture.origin, key: Fixture.key(of: "bo").verifyingKey).description
    let ghost = try Fixture.file(runs + [("bo", [try Fixture.entry("bo", "credential.read", at: 7)])])
    let climber = try Fixture.file([runs[0], ("bo", [try Fixture.added("cy", .owner, by: "bo", at: 2)])])
    func rekeyed(_ key: String, by member: String = "ana") throws -> [UInt8] {
      let entry = try Fixture.entry(member, "vault.rekeyed", at: 2, ["key": .string(key)])
      let runs = member == "ana" ? [("ana", runs[0].entries + [entry])] : [runs[0], (member, [entry])]
      return Array(try Fixture.file(runs).joined())
    }
    // K and U+212A, KELVIN SIGN, are the same text to some readers, but different bytes to all.
    let kelvin = try Fixture.file([
      (
        "ana",
        [
          try Fixture.genesis(), try Fixture.added("Karl", at: 1),
          try Fixture.entry("ana", "member.removed", at: 2, ["removed": "\u{212A}arl"]),
        ]
      )
    ])
    let altered = try Fixture.entry("bo", "rotation.validated", at: 3, ["credential": "crm/prod", "version": 3])
    return [
      "log/two-members.txt": Vector(["expect": "valid", "owner": owner, "remembered": remembered], good),
      "log/removed-in-other-letters.txt": Vector(["expect": "notCanonical", "entry": "2"], Array(kelvin.joined())),
      "log/changed-entry.txt": Vector(["expect": "corrupt", "entry": "2"], join { $0[4] = altered.bytes + [0x0A] }),
      "log/removed-entry.txt": Vector(["expect": "incomplete", "entry": "2"], join { $0.remove(at: 4) }),
      "log/reordered-entries.txt": Vector(["expect": "corrupt", "entry": "2"], join { $0.swapAt(3, 4) }),
      "log/cut-off.txt": Vector(
        [
          "expect": "incomplete", "entry": "5", "remembered": remembered, "comment": "valid without the remembered one",
        ],
        join { $0.removeLast(3) }),
      "log/cut-inside-a-run.txt": Vector(["expect": "incomplete", "entry": "5"], join { $0.remove(at: 8) }),
      "log/no-last-checkpoint.txt": Vector(["expect": "incomplete", "entry": "5"], join { $0.removeLast() }),
      "log/checkpoint-inside-a-run.txt": Vector(
        ["expect": "inconsistent", "entry": "2"],
        Array(try Fixture.file([runs[0], ("ana", [try Fixture.entry("ana", "log.verified", at: 2)])]).joined())),
      "log/wrong-signer.txt": Vector(
        ["expect": "unknownSigner", "entry": "2"], Array(try Fixture.file(runs, signedBy: [nil, "ana"]).joined())),
      "log/removed-member-acts.txt": Vector(["expect": "unknownSigner", "entry": "7"], Array(ghost.joined())),
      "log/operator-adds-owner.txt": Vector(["expect": "notPermitted", "entry": "2"], Array(climber.joined())),
      "log/rekeyed.txt": Vector(["expect": "valid"], try rekeyed(Fixture.vault)),
      "log/operator-rekeys.txt": Vector(
        ["expect": "notPermitted", "entry": "2"], try rekeyed(Fixture.vault, by: "bo")),
      "log/rekeyed-without-a-key.txt": Vector(["expect": "notCanonical", "entry": "2"], try rekeyed("")),
      "log/space-in-entry.txt": Vector(
        ["expect": "notCanonical", "entry": "3"], join { $0[4] = [0x7B, 0x20] + $0[4].dropFirst() }),
      "log/another-owner.txt": Vector(["expect": "inconsistent", "entry": "0", "owner": stranger], good),
    ]
  }

  static func checkpoints() throws -> [String: Vector] {
    let key = try Fixture.key(of: "ana")
    let vkey = try NoteKey(name: Fixture.origin, key: key.verifyingKey).description
    let stranger = try NoteKey(name: Fixture.origin, key: Fixture.key(of: "bo").verifyingKey).description
    let root = MerkleTree.emptyRoot.bytes.base64
    func note(_ text: String) throws -> [UInt8] {
      try SignedNote(signing: text, name: Fixture.origin, key: key).bytes
    }
    let good = try note("\(Fixture.origin)\n0\n\(root)\n")
    let cosigned = good + "— witness.example AAAAAABhYg==\n".utf8
    return [
      "checkpoint/empty-tree.txt": Vector(["expect": "valid", "key": vkey], good),
      "checkpoint/extension-line.txt": Vector(
        ["expect": "valid", "key": vkey], try note("\(Fixture.origin)\n1\n\(root)\nsomething else\n")),
      "checkpoint/unknown-cosignature.txt": Vector(["expect": "valid", "key": vkey], cosigned),
      "checkpoint/another-key.txt": Vector(["expect": "unknownSigner", "key": stranger], good),
      "checkpoint/changed-size.txt": Vector(
        ["expect": "badSignature", "key": vkey],
        Array(String(decoding: good, as: UTF8.self).replacing("\n0\n", with: "\n1\n").utf8)),
      "checkpoint/leading-zero.txt": Vector(
        ["expect": "malformed", "key": vkey], try note("\(Fixture.origin)\n07\n\(root)\n")),
      "checkpoint/short-root.txt": Vector(
        ["expect": "malformed", "key": vkey], try note("\(Fixture.origin)\n7\nAAAA\n")),
      "checkpoint/empty-extension.txt": Vector(
        ["expect": "malformed", "key": vkey], try note("\(Fixture.origin)\n7\n\(root)\n\nx\n")),
      "checkpoint/no-final-newline.txt": Vector(["expect": "malformed", "key": vkey], good.dropLast()),
      "checkpoint/not-padded.txt": Vector(
        ["expect": "malformed", "key": vkey],
        Array(String(decoding: good, as: UTF8.self).replacing("=\n", with: "\n").utf8)),
    ]
  }
}
