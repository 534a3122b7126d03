import Foundation
import Glibc
import Sodium
import Testing
import Vault

@testable import Delivery

@Suite("A program's output is passed on with the pair masked")
struct OutputMaskTests {
  private static func pair() throws -> Pair {
    let (word, id) = (OutputCaptureTests.word, OutputCaptureTests.id)
    return Pair(clientID: try secret(id), clientSecret: try secret(word))
  }

  /// What is shown of `said` if a pause follows each of its bytes.
  private static func shown(_ said: String) throws -> String {
    var capture = try OutputCapture(masking: [pair()])
    var shown: [UInt8] = []
    for byte in said.utf8 {
      try [byte].withUnsafeBytes { try capture.take($0) }
      shown += capture.passOn()
      capture.showBeginning()
      shown += capture.passOn()
    }
    shown += try capture.finish()
    return String(decoding: shown, as: UTF8.self)
  }

  @Test func `after a pause three characters of a secret are shown at most, and nothing twice`() throws {
    let word = OutputCaptureTests.word
    #expect(try Self.shown("so \(word) on") == "so \(word.prefix(3))[masked] on")
    #expect(try Self.shown("s\n3\nc\nr no") == "s\n3\nc\nr no")
    #expect(try Self.shown("3MVG8 and s3 and \(word.prefix(3))x") == "3MVG8 and s3 and \(word.prefix(3))x")
    #expect(try Self.shown(word + word) == "\(word.prefix(3))[masked]\(word.prefix(3))[masked]")
    #expect(try Self.shown("go on? s") == "go on? s")
  }

  @Test func `a question is seen before it is answered, and the end of the program ends the passing on`() throws {
    var (from, to): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
    #expect(pipe(&from) == 0 && pipe(&to) == 0)
    defer { for end in [from[1], to[0], to[1]] { close(end) } }
    let mask = try OutputMask(from: from[0], to: to[1], masking: [Self.pair()], pause: .milliseconds(1))
    let question = Array("Which? 3".utf8)
    #expect(write(from[1], question, question.count) == question.count)
    var heard = ""
    var byte: UInt8 = 0
    while heard.utf8.count < question.count, read(to[0], &byte, 1) == 1 {
      heard += String(decoding: [byte], as: UTF8.self)
    }
    #expect(heard == "Which? 3")
    let rest = Array((OutputCaptureTests.id.dropFirst() + "!").utf8)
    #expect(write(from[1], rest, rest.count) == rest.count)
    // The other end of the pipe stays open, as in a program that was left running.
    #expect(mask.finish(within: 30_000))
    var bytes = [UInt8](repeating: 0, count: 100)
    let count = read(to[0], &bytes, bytes.count)
    #expect(String(decoding: bytes[..<max(0, count)], as: UTF8.self) == "[masked]!")
  }
}
