import Delivery
import Testing
import Vault

@Suite("The file of allowed programs")
struct ProgramLinesTests {
  @Test func `allows a program by its bytes, not by what they look like`() throws {
    let vault = try #require(Identifier("000102030405060708090a0b0c0d0e0f"))
    let file = Array((ProgramLines.line(["/opt/e\u{301}x", "\u{FFFD}"], vault) + "\n").utf8)
    #expect(ProgramLines.allow(["/opt/e\u{301}x", "\u{FFFD}"], vault, in: file))
    #expect(!ProgramLines.allow(["/opt/\u{E9}x", "\u{FFFD}"], vault, in: file))
    // A byte that is not UTF-8 is shown as U+FFFD, but is not that.
    let broken = Array(ProgramLines.line(["/opt/x", "?"], vault).utf8).map { $0 == UInt8(ascii: "?") ? 0xFF : $0 }
    #expect(!ProgramLines.allow(["/opt/x", "\u{FFFD}"], vault, in: broken))
    // Written by hand, with spaces and no newline at its end.
    let hand = #"{ "vault" : "000102030405060708090a0b0c0d0e0f", "arguments" : ["/opt/x"] }"#
    #expect(ProgramLines.allow(["/opt/x"], vault, in: Array("\nno line\n\(hand)".utf8)))
  }

  @Test func `is one line for each that is added, whatever stood at its end`() throws {
    let vault = try #require(Identifier("000102030405060708090a0b0c0d0e0f"))
    let first = ProgramLines.adding(["/a"], vault, to: [])
    let both = ProgramLines.adding(["/b"], vault, to: first)
    #expect(ProgramLines.adding(["/b"], vault, to: Array(first.dropLast())) == both)
    #expect(ProgramLines.allow(["/a"], vault, in: both) && ProgramLines.allow(["/b"], vault, in: both))
    let other = try #require(Identifier("100102030405060708090a0b0c0d0e0f"))
    #expect(!ProgramLines.allow(["/a"], other, in: both) && !ProgramLines.allow(["/a", ""], vault, in: both))
  }
}
