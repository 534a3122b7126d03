import Foundation
import Sodium
import Testing

@testable import Delivery

@Suite("A text is searched for a secret in each form that is masked")
struct SearchedTextTests {
  private static let words = [
    OutputCaptureTests.word, "vN3xq0Lr8TtYc2Wk5ZbHsD7uFjGmPaE1", "aB3/x9+Q_7-k.T~2", "%a\\b&c'd\"e f\ng<h>i;j",
    "8 bytes!",
  ]

  private static func contains(_ text: String, _ word: String) throws -> Bool {
    try SearchedText(SharedSecret(secret(text))).contains(secret(word))
  }

  @Test("finds one whose first bytes look like the end of an escape that stands before it")
  func afterAnEscape() throws {
    let word = "abcd/fghijklmnopqrst"
    for before in ["%", "100%", "100%25", "&#", "\\", "x"] {
      for said in ["abcd\\/fghijklmnopqrst", "abcd%2Ffghijklmnopqrst"] {
        #expect(try Self.contains(before + said, word), "\(before + said)")
      }
    }
  }

  @Test("finds one in hexadecimal whose last digit looks like the beginning of what follows")
  func beforeAnX() throws {
    #expect(try Self.contains("616263646566676869303132333435363730x", "abcdefghi012345670"))
  }

  @Test("wherever it stands", arguments: OutputCaptureTests.forms.map(\.name))
  func forms(_ name: String) throws {
    let form = try #require(OutputCaptureTests.forms.first { $0.name == name })
    for word in Self.words {
      // A line break in a secret, and a secret of this length, are no matter of these forms.
      guard !name.contains("lines") || word.utf8.count > 20 && !word.contains("\n") else { continue }
      let said = form.of(word)
      // Only what is masked can be found.
      guard try OutputCaptureTests.kept(Array(said.utf8), word: word) != said else { continue }
      for (before, after) in [("", ""), ("key: ", "\n"), ("<a href=\"x?\n", "&amp;y%3D"), ("\\n\\\"", "\\\"")] {
        #expect(try Self.contains(before + said + after, word), "\(word): \(before + said + after)")
      }
      let other = form.of(String(word.map { $0 == "a" ? "o" : $0 == "8" ? "9" : $0 }))
      #expect(try !Self.contains(other, word), "\(word): \(other)")
    }
  }

  @Test("also as a part of what was encoded, at each alignment") func parts() throws {
    for word in Self.words {
      for before in ["", "i", "id", "id:"] {
        let whole = Data("\(before)\(word)\n".utf8).base64EncodedString()
        #expect(try Self.contains("data:\n  client_secret: \(whole)\n", word), "\(before)\(word)")
        #expect(try Self.contains(whole.replacingOccurrences(of: "+", with: "-"), word), "\(before)\(word)")
      }
    }
  }

  @Test("and not elsewhere, nor in a text that is empty") func others() throws {
    let text = Self.words.joined(separator: " ").uppercased()
    for word in Self.words where word.uppercased() != word { #expect(try !Self.contains(text, word), "\(word)") }
    for word in Self.words { #expect(try !Self.contains("", word) && !Self.contains("\\", word)) }
    // What only has all of its windows, in another order.
    #expect(try !Self.contains("12345678 23456789", "123456789"))
  }
}
