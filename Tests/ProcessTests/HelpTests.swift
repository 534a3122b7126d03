import ArgumentParser
import Testing
import Vault

@testable import relatch

@Suite("Help")
struct HelpTests {
  @Test("of the rules for rotation has each in a column and its meaning in another, on a terminal of 80 columns")
  func policy() throws {
    let lines = Relatch.helpMessage(for: PolicyCommand.self, columns: 80).split(separator: "\n")
    let first = try #require(lines.firstIndex { $0.hasPrefix("  max-age ") })
    let table = lines[first...].prefix { !$0.hasPrefix("USAGE") }
    let keys = table.filter { !$0.hasPrefix("    ") }.map { $0.split(separator: " ")[0] }
    #expect(keys == Policy.keys.map { $0.key[...] })
    let longest = try #require(Policy.keys.map(\.key.count).max())
    for line in table {
      #expect(line.count <= 80)
      #expect(line.dropFirst(2 + longest).hasPrefix("  ") && line.dropFirst(4 + longest).first != " ", "\(line)")
    }
    let meanings = table.map { $0.dropFirst(4 + longest) }.joined(separator: " ")
    #expect(meanings == Policy.keys.map(\.meaning).joined(separator: " "))
  }
}
