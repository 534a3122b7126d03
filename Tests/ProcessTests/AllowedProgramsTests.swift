import Foundation
import Testing
import Vault

@testable import relatch

@Suite("The list of allowed programs")
struct AllowedProgramsTests {
  private let folder = FileManager.default.temporaryDirectory.appending(path: "relatch-\(UUID().uuidString)")
  private var list: ProgramList { ProgramList(path: folder.appending(path: "mine/programs").path) }

  private func vault() throws -> Identifier { try #require(Identifier("000102030405060708090a0b0c0d0e0f")) }

  private func set(_ mode: Int, _ name: String) throws {
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: folder.appending(path: name).path)
  }

  @Test func `is read only where nobody else could have put it`() throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let vault = try vault()
    #expect(try !list.allows(["/opt/x"], vault))
    #expect(try list.add(["/opt/x"], vault))
    #expect(try !list.add(["/opt/x"], vault))
    #expect(try list.allows(["/opt/x"], vault) && !list.allows(["/opt/x", ""], vault))
    for (mode, name, usual) in [(0o777, "mine", 0o700), (0o777, "", 0o755), (0o620, "mine/programs", 0o600)] {
      try set(mode, name)
      #expect(throws: (any Error).self, "\(name)") { try list.allows(["/opt/x"], vault) }
      #expect(throws: (any Error).self, "\(name)") { try list.add(["/opt/y"], vault) }
      try set(usual, name)
      #expect(try list.allows(["/opt/x"], vault))
    }
    try FileManager.default.removeItem(at: folder.appending(path: "mine/programs"))
    try FileManager.default.createDirectory(
      at: folder.appending(path: "mine/programs"), withIntermediateDirectories: false)
    #expect(throws: (any Error).self) { try list.allows(["/opt/x"], vault) }
  }

  @Test(.enabled(if: geteuid() == 0, "only root can give a file away"))
  func `is not read if it belongs to somebody else`() throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let vault = try vault()
    #expect(try list.add(["/opt/x"], vault))
    #expect(chown(list.path, 65_534, gid_t.max) == 0)
    #expect(throws: (any Error).self) { try list.allows(["/opt/x"], vault) }
    #expect(chown(list.path, 0, gid_t.max) == 0)
    #expect(try list.allows(["/opt/x"], vault))
  }
}
