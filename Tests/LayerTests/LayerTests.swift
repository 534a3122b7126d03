import Foundation
import Testing

private let top = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
private let sources = top.appendingPathComponent("Sources")

/// Read once. If a folder cannot be read, the test that counts files fails.
private let swiftFiles = (try? SourceFile.all(in: sources)) ?? []
private let allFiles = (try? SourceFile.all(in: sources, withExtensions: ["swift", "c", "h"])) ?? []

@Suite("Every import is in the table")
struct LayerTests {
  @Test func `there are sources to check`() { #expect(swiftFiles.count > 100) }

  @Test(arguments: swiftFiles) func `a file imports what its target may`(file: SourceFile) {
    #expect(violations(in: file, of: layers) == [])
  }

  @Test(arguments: wordRules) func `what belongs in one place is in no other`(rule: WordRule) {
    for file in allFiles { #expect(rule.violations(in: file) == [], "\(file.path): \(rule.reason)") }
  }

  @Test func `every target has a row, and every row's modules are declared`() throws {
    let manifest = try Manifest(String(contentsOf: top.appendingPathComponent("Package.swift"), encoding: .utf8))
    #expect(manifest.targets.count > 15)
    for target in manifest.targets {
      let layer = try #require(layers.first { $0.target == target.name }, "no row for \(target.name)")
      #expect(target.dependencies.subtracting(layer.mayImport) == [], "Package.swift: \(target.name)")
      let imported = Set(swiftFiles.filter { $0.target == target.name }.flatMap(\.imports))
      let undeclared = imported.intersection(manifest.targets.map(\.name)).subtracting(target.dependencies)
      #expect(undeclared == [], "Package.swift does not declare what \(target.name) imports")
    }
    let folders = try FileManager.default.contentsOfDirectory(atPath: sources.path)
    #expect(Set(folders) == Set(manifest.targets.map(\.name)))
  }

  @Test func `rows name only rows before them, so that there is no circle`() {
    for (index, layer) in layers.enumerated() {
      #expect(layer.ours.subtracting(layers[..<index].map(\.target)) == [], "\(layer.target)")
    }
    // The demo is not shipped.
    for layer in layers where layer.target != "relatch-demo" {
      #expect(!layer.others.contains("Foundation"), "\(layer.target)")
    }
  }

  @Test(arguments: layers.filter(\.isLibrary).map(\.target)) func `a target is worth a target`(target: String) {
    let count = swiftFiles.count { $0.target == target }
    #expect(count >= 3, "\(target) has \(count) Swift files")
  }

  @Test func `no folder is named for nothing`() throws {
    for folder in ["Sources", "Tests"] {
      let paths = try FileManager.default.subpathsOfDirectory(atPath: top.appendingPathComponent(folder).path)
      let names = Set(paths.flatMap { $0.split(separator: "/").map(String.init) })
      #expect(names.isDisjoint(with: ["Core", "Common", "Util", "Utils", "Utilities", "Helpers", "Interfaces"]))
    }
  }

  private static let page = top.appendingPathComponent("docs/design.md")

  @Test func `the design page prints the same table`() throws {
    let rows = designRows(of: try String(contentsOf: Self.page, encoding: .utf8))
    for layer in layers where !swiftFiles.allSatisfy({ $0.target != layer.target }) || layer.target.hasPrefix("C") {
      let row = try #require(rows[layer.target], "docs/design.md has no row for \(layer.target)")
      #expect(row.names(layer, among: Set(layers.map(\.target))), "docs/design.md, \(layer.target): \(row.mayImport)")
    }
    #expect(Set(rows.keys).subtracting(layers.map(\.target)) == [])
  }
}

@Suite("The check of imports itself")
struct PlantedImportTests {
  @Test(arguments: [
    "import Vault", "package import Vault", "public import Vault", "@testable import Vault",
    "@_spi(Testing) internal import Vault", "import struct Vault.Pair", "  import Vault // why not",
    "import Sodium; import Vault", "import `Vault`", "#if DEBUG\nimport Vault\n#endif",
  ])
  func `a planted import is named with its file and module`(line: String) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("layers-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let inner = folder.appendingPathComponent("Age/Deep")
    try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
    try "/// Text.\n\(line)\nlet x = 1\n".write(
      to: inner.appendingPathComponent("Planted.swift"), atomically: true, encoding: .utf8)
    let found = try SourceFile.all(in: folder).flatMap { violations(in: $0, of: layers) }
    #expect(found.map(\.description) == ["Age/Deep/Planted.swift: Age may not import Vault"])
  }

  @Test(arguments: [
    "// import Vault", "/* a\nimport Vault\n*/", "let x = \"\"\"\n  import Vault\n  \"\"\"", "importVault()",
  ])
  func `what is no import is none`(text: String) throws {
    #expect(try planted(text, at: "Age/File.swift").imports == [])
  }

  @Test func `a file of no target may import nothing`() throws {
    let file = try planted("import Glibc", at: "Elsewhere/File.swift")
    #expect(violations(in: file, of: layers).map(\.imported) == ["Glibc"])
  }

  @Test(arguments: wordRules)
  func `a planted word is noticed, but not in a comment or its own place`(rule: WordRule) throws {
    for word in rule.words {
      #expect(try rule.violations(in: planted("let x = \(word)", at: "Age/File.swift")) == [word])
      #expect(try rule.violations(in: planted("// \(word)\nlet y = \"\(word)\"", at: "Age/File.swift")) == [])
      for place in rule.places {
        let path = place.hasSuffix("/") ? place + "file.c" : place
        #expect(try rule.violations(in: planted("let x = \(word)", at: path)) == [])
      }
    }
  }

  @Test func `a table that differs is noticed`() throws {
    let rows = designRows(
      of: """
        | target | what it is | may import |
        |---|---|---|
        | `CSodium`, `CSQLite` (later `CPostgres`) | shims | — |
        | `Age` | age | Sodium |
        | `relatch` | commands | all but OrgSimulator |

        | other | table |
        |---|---|
        | `Vault` | x |
        """)
    #expect(Set(rows.keys) == ["CSodium", "CSQLite", "Age", "relatch"])
    let names: Set = ["CSodium", "Sodium", "Age", "Vault", "OrgSimulator", "relatch"]
    #expect(try #require(rows["Age"]).names(.library("Age", ["Sodium"]), among: names))
    #expect(!(try #require(rows["Age"]).names(.library("Age", ["Sodium", "Vault"]), among: names)))
    #expect(!(try #require(rows["Age"]).names(.library("Age", []), among: names)))
    #expect(try #require(rows["CSQLite"]).names(.shim("CSQLite"), among: names))
    #expect(try #require(rows["relatch"]).names(.executable("relatch", ["Age", "Vault"]), among: names))
    #expect(!(try #require(rows["relatch"]).names(.executable("relatch", ["OrgSimulator"]), among: names)))
  }

  private func planted(_ text: String, at path: String) throws -> SourceFile {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("layers-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent(path)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try text.write(to: file, atomically: true, encoding: .utf8)
    return try #require(try SourceFile.all(in: folder, withExtensions: ["swift", "c"]).first)
  }
}
