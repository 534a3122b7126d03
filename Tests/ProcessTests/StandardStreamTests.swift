import Audit
import Contracts
import Glibc
import Sodium
import Testing

@testable import relatch

@Suite("Standard streams are written whole, or the error is reported")
struct StandardStreamTests {
  @Test func `bytes from guarded memory arrive whole through a full, non-blocking pipe`() async throws {
    let pipe = try Pipe()
    _ = fcntl(pipe.writeEnd, F_SETFL, O_NONBLOCK)
    let count = 300_000
    let secret = try Randomness { $0.copyBytes(from: (0..<$0.count).map { UInt8($0 % 251) }) }.secret(count)
    let reader = onOwnThread { pipe.read(count) }
    try StandardStream(descriptor: pipe.writeEnd, name: "a pipe").write(secret.bytes)
    #expect(try await reader.value() == (0..<count).map { UInt8($0 % 251) })
  }

  @Test func `a reader that went away is an error`() async {
    await #expect(processExitsWith: .success) {
      signal(SIGPIPE, SIG_IGN)
      let pipe = try Pipe()
      close(pipe.readEnd)
      let stream = StandardStream(descriptor: pipe.writeEnd, name: "standard output")
      let error = #expect(throws: StreamError.self) { try stream.write("x") }
      #expect(error?.isReaderGone == true)
      #expect(error?.exitCode == .cannotWrite)
    }
  }

  @Test func `a full disk is an error that names the stream`() throws {
    let descriptor = open("/dev/full", O_WRONLY | O_CLOEXEC)
    defer { close(descriptor) }
    let stream = StandardStream(descriptor: descriptor, name: "standard output")
    let error = #expect(throws: StreamError.self) { try stream.write("x") }
    #expect(error?.description == "cannot write standard output: No space left on device")
    #expect(error?.isReaderGone == false)
  }

  @Test func `messages are one plain line each on what is no terminal`() throws {
    let pipe = try Pipe()
    let diagnostics = Diagnostics(stream: StandardStream(descriptor: pipe.writeEnd, name: "a pipe"))
    diagnostics.error("cannot read \u{1B}]0;x\u{7}\nrelatch: error: \u{202E}é")
    diagnostics.hint("try")
    diagnostics.warning("slow")
    let expected = #"""
      relatch: error: cannot read \u{1B}]0;x\u{7}\u{A}relatch: error: \u{202E}é
      relatch: hint: try
      relatch: warning: slow

      """#
    #expect(String(decoding: pipe.read(expected.utf8.count), as: UTF8.self) == expected)
  }

  @Test func `colours need a terminal that has them, and no NO_COLOR`() async {
    await #expect(processExitsWith: .success) {
      let terminal = try PseudoTerminal()
      let descriptor = open(terminal.path, O_RDWR | O_NOCTTY)
      let stream = StandardStream(descriptor: descriptor, name: "a terminal")
      setenv("TERM", "xterm", 1)
      unsetenv("NO_COLOR")
      #expect(stream.hasColor)
      Diagnostics(stream: stream).error("no")
      #expect(terminal.screen(until: "no\r\n") == "relatch: \u{1B}[1;31merror:\u{1B}[0m no\r\n")
      setenv("NO_COLOR", "1", 1)
      #expect(!stream.hasColor)
      unsetenv("NO_COLOR")
      setenv("TERM", "dumb", 1)
      #expect(!stream.hasColor)
      #expect(!StandardStream(descriptor: try Pipe().writeEnd, name: "a pipe").isTerminal)
    }
  }

  @Test func `the clock tells this century`() throws {
    let start = try #require(Timestamp("2025-01-01T00:00:00.000Z"))
    #expect(WallClock.now() > start)
    #expect(WallClock.now() >= WallClock.now() + .seconds(-1))
  }
}

/// A pipe, closed when the test ends.
final class Pipe: Sendable {
  let readEnd: Int32
  let writeEnd: Int32

  init() throws {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    (readEnd, writeEnd) = (ends[0], ends[1])
  }

  deinit {
    close(readEnd)
    close(writeEnd)
  }

  /// Reads `count` bytes, or fewer if no more come.
  func read(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while bytes.count < count {
      let got = Glibc.read(readEnd, &buffer, min(buffer.count, count - bytes.count))
      guard got > 0 else { break }
      bytes += buffer[..<got]
    }
    return bytes
  }
}
