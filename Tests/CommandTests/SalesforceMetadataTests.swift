import Foundation
import Testing

@Suite("Salesforce metadata from the command line")
struct SalesforceMetadataTests {
  /// A folder to work in; no vault and no org.
  private final class Bench: Sendable {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("bench-\(UUID().uuidString)")

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: folder) }

    func relatch(_ arguments: [String], path: String = "/usr/bin:/bin") async throws -> Outcome {
      let environment = ["HOME": folder.path, "PATH": path]
      return try await Running(
        Programs.relatch, ["salesforce"] + arguments, stdin: nil, environment: environment, in: folder
      ).outcome()
    }
  }

  @Test(
    "Written files are well-formed for another reader, pass lint, and are written once",
    .enabled(if: Programs.python != nil, "python3 is not installed"))
  func written() async throws {
    let bench = try Bench()
    let variants = [
      ["--format", "metadata"], ["--permission-set", "Sync"], ["--connected-app"], ["--older-names"], [],
    ]
    for (index, variant) in variants.enumerated() {
      let place = bench.folder.path + "/\(index)"
      let arguments = ["metadata", "--app", "Sync", "--run-as", "a&b@example.com", "-o", place] + variant
      let made = try await bench.relatch(arguments)
      #expect(made.code == 0 && made.line.contains("package.xml"), "\(made.errorText)")
      let lint = try await bench.relatch(["lint", place + "/"])
      #expect(lint.code == 0 && lint.outputText.isEmpty == !variant.contains("--older-names"), "\(lint.outputText)")
      #expect(!lint.outputText.contains("//") && lint.errors.isEmpty)
      expectFailure(try await bench.relatch(arguments), 64, "it already exists")
    }
    let check = """
      import pathlib, sys, xml.dom.minidom
      files = [f for f in pathlib.Path(sys.argv[1]).rglob("*") if f.is_file() and "run-" not in str(f)]
      for f in files:
          if f.suffix != ".json": xml.dom.minidom.parse(str(f))
      print(len(files))
      """
    let parsed = try await Running(
      #require(Programs.python), ["-c", check, bench.folder.path], stdin: nil, environment: [:], in: bench.folder
    ).outcome()
    #expect(parsed.code == 0 && Int(parsed.line) == 6 + 7 + 3 + 7 + 7, "\(parsed.line) \(parsed.errorText)")
  }

  @Test("lint ends with 78 for a fault and 66 for a folder without an app, and prints each finding as a JSON object")
  func lint() async throws {
    let bench = try Bench()
    #expect(
      try await bench.relatch(["metadata", "--app", "S", "--run-as", "a@b.c", "-o", bench.folder.path + "/s"]).code == 0
    )
    let file =
      bench.folder.path + "/s/force-app/main/default/extlClntAppOauthPolicies/S_oauthPlcy.ecaOauthPlcy-meta.xml"
    let text = try String(contentsOfFile: file, encoding: .utf8)
    try text.replacingOccurrences(of: "a@b.c", with: "").write(toFile: file, atomically: true, encoding: .utf8)
    let lint = try await bench.relatch(["lint", bench.folder.path + "/s"])
    #expect(lint.code == 78 && lint.errors.isEmpty)
    #expect(lint.outputText.hasPrefix("\(file):3: fault: clientCredentialsFlowUser is empty"), "\(lint.outputText)")
    let objects = try await bench.relatch(["lint", bench.folder.path + "/s", "--json"])
    let finding = try #require(try objects.objects().first)
    #expect(try objects.code == 78 && objects.objects().count == 1 && finding["line"] as? Int == 3)
    #expect(finding["check"] as? String == "run-as" && finding["level"] as? String == "fault")
    let empty = bench.folder.path + "/empty\u{1B}[31m"
    try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
    let none = try await bench.relatch(["lint", empty])
    expectFailure(none, 66, "there is no external client app")
    #expect(!none.errorText.contains("\u{1B}"))
    expectFailure(try await bench.relatch(["lint", bench.folder.path + "/nowhere"]), 66, "No such file")
    expectFailure(try await bench.relatch(["metadata", "--app", "a-b", "--run-as", "a@b.c"]), 64, "API name")
  }

  @Test("--deploy runs sf in the folder and ends as sf does; without sf nothing is written")
  func deploy() async throws {
    let bench = try Bench()
    let arguments = ["metadata", "--app", "S", "--run-as", "a@b.c", "--deploy", "--target-org", "dev", "-o"]
    let place = bench.folder.path + "/s"
    expectFailure(try await bench.relatch(arguments + [place]), 66, "sf program")
    #expect(!FileManager.default.fileExists(atPath: place))
    let tools = bench.folder.appendingPathComponent("tools")
    try FileManager.default.createDirectory(at: tools, withIntermediateDirectories: true)
    try "#!/bin/sh\npwd; ls package.xml; printf '%s\\n' \"$@\"; umask; exit 9\n".write(
      to: tools.appendingPathComponent("sf"), atomically: true, encoding: .utf8)
    #expect(chmod(tools.path + "/sf", 0o755) == 0)
    let deployed = try await bench.relatch(arguments + [place], path: tools.path + ":/usr/bin:/bin")
    #expect(deployed.code == 9, "\(deployed.errorText)")
    let lines = deployed.line.split(separator: "\n").map(String.init)
    #expect(lines.first?.hasSuffix("/s") == true)
    #expect(
      Array(lines.dropFirst().dropLast()) == [
        "package.xml", "project", "deploy", "start", "--manifest", "package.xml", "--target-org", "dev",
      ])
    #expect(lines.last != "0077", "the umask is that of whoever ran us")
  }
}
