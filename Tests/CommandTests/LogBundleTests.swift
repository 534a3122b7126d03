import Foundation
import Testing

@Suite("Evidence bundles and exports")
struct LogBundleTests {
  private static let verifier = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../Verifiers/verify_bundle.py").standardized.path

  /// A vault whose log has entries by two members about two credentials.
  private static func place() async throws -> (place: Workplace, owner: String) {
    let place = try await Workplace()
    try await place.add("crm")
    let anna = try await place.addMember("anna", "owner")
    #expect(try await place.relatch("policy", "crm", "grace=1h", environment: anna).code == 0)
    #expect(try await place.relatch("read", "crm").code == 0)
    let owner = try #require(try await place.relatch("log", "verify", "--json").objects().first?["owner"] as? String)
    return (place, owner)
  }

  @Test("A bundle verifies far from the vault, for its owner's key only, shows nothing else, and fails once altered")
  func bundles() async throws {
    let (place, owner) = try await Self.place()
    let file = place.folder.path + "/crm.bundle"
    let made = try await place.relatch("log", "bundle", "crm", "-o", file, environment: Workplace.outsider)
    #expect(made.code == 0, "\(made.errorText)")
    expectFailure(
      try await place.relatch("log", "bundle", "crm", "-o", file, environment: Workplace.outsider), 64,
      "it already exists")
    expectFailure(
      try await place.relatch("log", "bundle", "nothing", environment: Workplace.outsider), 66, "has no entry about")
    let text = try String(contentsOfFile: file, encoding: .utf8)
    #expect(text.contains(#""event":"pair.read""#) && text.contains(#""added":"#))
    #expect(!text.contains(#""credential":"admin""#), "what is left out stays private")
    #expect(try await place.relatch("log", "bundle", "crm", environment: Workplace.outsider).outputText == text)
    // Also where there is no room for a temporary file.
    let roomless = Workplace.outsider.merging(["TMPDIR": "/nonexistent"]) { $1 }
    #expect(try await place.relatch("log", "bundle", "crm", environment: roomless).outputText == text)

    let far = ["HOME": "/nonexistent", "RELATCH_VAULT": "/nonexistent", "RELATCH_IDENTITY": "/nonexistent"]
    let verified = try await place.relatch("log", "verify", "--bundle", file, "--owner", owner, environment: far)
    #expect(verified.code == 0 && verified.outputText.contains("the bundle is sound"), "\(verified.errorText)")
    let note = place.folder.path + "/note"
    #expect(try await place.relatch("log", "checkpoint", "-o", note).code == 0)
    #expect(
      try await place.relatch("log", "verify", "--bundle", file, "--checkpoint", note, environment: far).code == 0)
    // A checkpoint that is not in it is no sign of anything, and the proof from it can be asked for.
    #expect(try await place.relatch("read", "crm").code == 0)
    let later = place.folder.path + "/later"
    func verify(_ bundle: String, _ checkpoint: String) async throws -> Outcome {
      let arguments = ["log", "verify", "--bundle", bundle, "--owner", owner, "--checkpoint", checkpoint]
      return try await place.run(Programs.relatch, arguments, environment: far)
    }
    #expect(try await place.relatch("log", "checkpoint", "-o", later).code == 0)
    let silent = try await verify(file, later)
    expectFailure(silent, 66, "is sound, and does not tell whether the log extends --checkpoint")
    #expect(silent.errorText.contains("`relatch log bundle … --checkpoint FILE`"))
    #expect(try await place.relatch("read", "admin").code == 0)
    let proved = place.folder.path + "/proved.bundle"
    let asked = ["log", "bundle", "crm", "--until", "2026-01-01", "--checkpoint", later, "--checkpoint", note]
    let proving = try await place.run(
      Programs.relatch, asked + ["-o", proved], environment: Workplace.outsider)
    #expect(proving.code == 0, "\(proving.errorText)")
    for kept in [later, note] { #expect(try await verify(proved, kept).code == 0) }
    let other = try await Self.place()
    let foreign = place.folder.path + "/foreign"
    #expect(try await other.place.relatch("log", "checkpoint", "-o", foreign).code == 0)
    expectFailure(
      try await place.relatch("log", "bundle", "--checkpoint", foreign, environment: Workplace.outsider), 65,
      "the log does not extend --checkpoint")
    expectFailure(
      try await place.relatch("log", "verify", "--bundle", file, "--owner", other.owner, environment: far), 65, "owner")
    let whole = try Data(contentsOf: URL(fileURLWithPath: file))
    for place in stride(from: 5, to: whole.count, by: whole.count / 12) {
      var altered = whole
      altered[place] ^= 4
      try altered.write(to: URL(fileURLWithPath: file + ".altered"))
      let run = try await other.place.relatch("log", "verify", "--bundle", file + ".altered", environment: far)
      #expect(run.code == 65, "byte \(place): \(run.outputText)")
    }
    try whole.dropLast(1).write(to: URL(fileURLWithPath: file + ".altered"))
    expectFailure(
      try await place.relatch("log", "verify", "--bundle", file + ".altered", environment: far), 65, "newline")
  }

  @Test(
    "A program written from the pages verifies a bundle, and refuses altered ones",
    .enabled(if: Intruder.isAvailable, "needs python3 with PyNaCl"))
  func independentReader() async throws {
    let (place, owner) = try await Self.place()
    let python = try #require(Programs.python)
    let file = place.folder.path + "/bundle"
    #expect(try await place.relatch("log", "bundle", "-o", file, environment: Workplace.outsider).code == 0)
    let read = try await place.run(python, [Self.verifier, file, owner])
    #expect(read.code == 0, "\(read.errorText)")
    let entries = try await place.relatch("log", "list", "--json", environment: Workplace.outsider).outputText.split(
      separator: "\n")
    let expected = entries.enumerated().map { "\($0) \($1)" }.joined(separator: "\n")
    #expect(read.line == expected, "all of the log was asked for")
    let whole = try Data(contentsOf: URL(fileURLWithPath: file))
    for place in stride(from: 11, to: whole.count, by: whole.count / 12) {
      var altered = whole
      altered[place] ^= 1
      try altered.write(to: URL(fileURLWithPath: file))
      #expect(try await other(python, file, owner) == 1, "byte \(place)")
    }
    func other(_ python: String, _ file: String, _ owner: String) async throws -> Int32 {
      try await place.run(python, [Self.verifier, file, owner]).code
    }
  }

  @Test(
    "That program reads the vectors as they say", .enabled(if: Intruder.isAvailable, "needs python3 with PyNaCl"))
  func vectors() async throws {
    let place = try await Workplace(addsAdmin: false)
    let folder = URL(fileURLWithPath: Self.verifier).deletingLastPathComponent()
      .appendingPathComponent("../../vault/vectors/bundle").standardized
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    #expect(names.count > 5)
    for name in names {
      let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
      let end = try #require(text.range(of: "\n\n"))
      let headers = text[..<end.lowerBound].split(separator: "\n").map(String.init)
      let file = place.folder.path + "/" + name
      try Data(text[end.upperBound...].utf8).write(to: URL(fileURLWithPath: file))
      let owner = headers.first { $0.hasPrefix("owner: ") }.map { [String($0.dropFirst(7))] } ?? []
      let run = try await place.run(try #require(Programs.python), [Self.verifier, file] + owner)
      #expect(run.code == (headers.contains("expect: valid") ? 0 : 1), "\(name): \(run.errorText)")
    }
  }

  @Test("An export prints each entry once, in the requested format, credentials and span")
  func exports() async throws {
    let (place, _) = try await Self.place()
    let all = try await place.relatch("log", "list", "--json", environment: Workplace.outsider).outputText
    #expect(try await place.relatch("log", "export", environment: Workplace.outsider).outputText == all)
    let lines = all.split(separator: "\n").map(String.init)
    #expect(
      try await place.relatch("log", "export", "--from", "3", environment: Workplace.outsider).outputText
        == lines[3...].map { $0 + "\n" }.joined())
    let crm = lines.filter { $0.contains(#""credential":"crm""#) }
    #expect(!crm.isEmpty && crm.count < lines.count)
    #expect(
      try await place.relatch("log", "export", "--credential", "crm", environment: Workplace.outsider).outputText
        == crm.map { $0 + "\n" }.joined())
    #expect(
      try await place.relatch("log", "export", "--since", "2999-01-01T00:00:00Z", environment: Workplace.outsider)
        .output.isEmpty)
    #expect(
      try await place.relatch("log", "export", "--until", "2999-01-01T00:00:00Z", environment: Workplace.outsider)
        .outputText == all)
    expectFailure(
      try await place.relatch("log", "export", "--since", "yesterday", environment: Workplace.outsider), 64, "--since")
    expectFailure(try await place.relatch("log", "export", "--format", "xml", environment: Workplace.outsider), 64)

    let cef = try await place.relatch("log", "export", "--format", "cef", environment: Workplace.outsider).outputText
      .split(separator: "\n")
    #expect(cef.count == lines.count)
    #expect(
      cef.allSatisfy { $0.hasPrefix("CEF:0|Relatch|relatch|") && $0.split(separator: "|", maxSplits: 7).count == 8 })
    #expect(cef.contains { $0.contains("|pair.read|pair.read|5|rt=") && $0.contains(" cs2=crm") })
    let syslog = try await place.relatch("log", "export", "--format", "rfc5424", environment: Workplace.outsider)
      .outputText.split(separator: "\n")
    #expect(syslog.count == lines.count)
    #expect(
      syslog.allSatisfy {
        $0.contains("Z - relatch - ") && $0.contains(" [relatch@32473 vault=\"") && $0.hasSuffix("]")
      })
    let ocsf = try await place.relatch("log", "export", "--format", "ocsf", environment: Workplace.outsider).objects()
    #expect(ocsf.count == lines.count)
    for (index, object) in ocsf.enumerated() {
      let metadata = try #require(object["metadata"] as? [String: Any])
      #expect(metadata["sequence"] as? Int == index && object["raw_data"] as? String == lines[index])
      #expect(object["type_uid"] as? Int == 300_400 + (object["activity_id"] as? Int ?? 0))
      #expect(["class_uid", "category_uid", "severity_id", "time"].allSatisfy { object[$0] is Int })
    }
  }
}
