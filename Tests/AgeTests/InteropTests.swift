import Foundation
import Sodium
import Testing

@testable import Age

/// Against the `age` program, if it is installed.
@Suite("The age program", .enabled(if: Program.named("age") != nil, "no age program on PATH (Debian package age)"))
struct InteropTests {
  private static let sizes = [0, 1, 65_536, 65_537, 204_800]

  let folder: URL
  let identity: AgeIdentity
  private let identityPath: String

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("relatch-age-\(UUID().uuidString)")
    try FileManager.default.createDirectory(
      at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    identity = try AgeIdentity(generating: .system)
    identityPath = folder.appendingPathComponent("identity").path
    let text = try AgeIdentityFile(identity).encoded(created: "2026-01-02T15:30:45Z")
    try Data(contents(text)).write(to: URL(fileURLWithPath: identityPath))
  }

  @Test("age opens what we seal", arguments: sizes, [false, true])
  func ageOpens(size: Int, armored: Bool) throws {
    defer { removeFolder() }
    let plaintext = Randomness.system.bytes(size)
    let other = try AgeIdentity(generating: .system).recipient
    let file = try AgeFile.seal(
      plaintext.span.bytes, to: [other, identity.recipient], randomness: .system, armored: armored)
    #expect(try run("age", ["--decrypt", "--identity", identityPath], input: file) == plaintext)
  }

  @Test("age opens what we seal piece by piece, and we open its files piece by piece", arguments: sizes)
  func pieces(size: Int) throws {
    defer { removeFolder() }
    let plaintext = Randomness.system.bytes(size)
    let file = try sealedInPieces(plaintext, 10_000, [identity.recipient])
    #expect(try run("age", ["--decrypt", "--identity", identityPath], input: file) == plaintext)
    let theirs = try run("age", ["--recipient", identity.recipient.description], input: plaintext)
    #expect(try openedInPieces(theirs, 10_000, [identity]) == plaintext)
  }

  @Test("we open what age seals", arguments: sizes, [false, true])
  func weOpen(size: Int, armored: Bool) throws {
    defer { removeFolder() }
    let plaintext = Randomness.system.bytes(size)
    let arguments = ["--recipient", identity.recipient.description] + (armored ? ["--armor"] : [])
    let file = try run("age", arguments, input: plaintext)
    #expect(try contents(AgeFile.open(file.span.bytes, with: [identity])) == plaintext)
  }

  @Test(
    "age-keygen reads our identity file, and we read its own",
    .enabled(if: Program.named("age-keygen") != nil, "no age-keygen program on PATH"))
  func keygen() throws {
    defer { removeFolder() }
    let recipient = try run("age-keygen", ["-y", identityPath], input: [])
    #expect(String(decoding: recipient, as: UTF8.self) == "\(identity.recipient)\n")
    let theirs = try run("age-keygen", [], input: [])
    let file = try AgeIdentityFile(decoding: theirs.span.bytes)
    let created = String(decoding: theirs, as: UTF8.self).split(separator: "\n").first?.dropFirst("# created: ".count)
    #expect(try contents(file.encoded(created: String(created ?? ""))) == theirs)
  }

  @Test(
    "age opens what we seal with a passphrase, and we open what age seals with one",
    .enabled(if: Program.named("script") != nil, "no script program on PATH (Debian package bsdutils)"))
  func passphrase() throws {
    defer { removeFolder() }
    let passphrase = "correct horse battery staple"
    let plaintext = Array("client_secret".utf8)
    let ours = folder.appendingPathComponent("ours.age")
    let file = try AgeFile.seal(
      plaintext.span.bytes, passphrase: Array(passphrase.utf8).span.bytes, workFactor: 10, randomness: .system,
      armored: true)
    try Data(file).write(to: ours)
    let opened = folder.appendingPathComponent("opened")
    try runOnTerminal("age --decrypt --output '\(opened.path)' '\(ours.path)'", typing: "\(passphrase)\n")
    #expect([UInt8](try Data(contentsOf: opened)) == plaintext)

    let theirs = folder.appendingPathComponent("theirs.age")
    try runOnTerminal(
      "age --passphrase --output '\(theirs.path)' '\(opened.path)'", typing: "\(passphrase)\n\(passphrase)\n")
    let sealed = [UInt8](try Data(contentsOf: theirs))
    #expect(try contents(AgeFile.open(sealed.span.bytes, passphrase: Array(passphrase.utf8).span.bytes)) == plaintext)
  }

  private func removeFolder() { try? FileManager.default.removeItem(at: folder) }

  /// What the program wrote to standard output; it must succeed.
  private func run(_ name: String, _ arguments: [String], input: [UInt8]) throws -> [UInt8] {
    let path = try #require(Program.named(name))
    let inputFile = folder.appendingPathComponent("input")
    let outputFile = folder.appendingPathComponent("output")
    try Data(input).write(to: inputFile)
    try Data().write(to: outputFile)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.standardInput = try FileHandle(forReadingFrom: inputFile)
    process.standardOutput = try FileHandle(forWritingTo: outputFile)
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(name) \(arguments)")
    return [UInt8](try Data(contentsOf: outputFile))
  }

  /// Runs `command` on a terminal of its own, because age reads passphrases from nothing else.
  private func runOnTerminal(_ command: String, typing text: String) throws {
    let path = try #require(Program.named("script"))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = ["--quiet", "--return", "--command", command, "/dev/null"]
    let input = Pipe()
    process.standardInput = input
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
    process.waitUntilExit()
    try input.fileHandleForWriting.close()
    #expect(process.terminationStatus == 0, "\(command)")
  }
}

enum Program {
  /// The path of an installed program.
  static func named(_ name: String) -> String? {
    let folders = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":") ?? []
    return folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }
}
