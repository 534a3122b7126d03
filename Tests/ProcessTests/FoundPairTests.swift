import Foundation
import Sodium
import Testing
import Vault

@testable import relatch

@Suite("A found file is searched for a credential's pair")
struct FoundPairTests {
  private static func secret(_ text: String) throws -> SecretBytes {
    try SecretBytes(copying: Array(text.utf8).span.bytes)
  }

  private static func holds(_ text: String) throws -> Bool {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("found-\(UUID().uuidString)")
    try Data(text.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let pair = Pair(
      clientID: try secret("identifier"), clientSecret: try secret("secret \"1\""),
      registrationToken: SharedSecret(try secret("token \"1\"")))
    return try FoundPair(path: file.path).holds(pair)
  }

  @Test(
    "by the secret and by the token that manages the client, both verbatim and as JSON writes them",
    arguments: [
      (#"it was secret "1", sorry"#, true), (#"{"client_id":"x","client_secret":"secret \"1\""}"#, true),
      (#"Authorization: Bearer token "1""#, true),
      (#"{"client_id":"x","client_secret":"y","registration_access_token":"token \"1\""}"#, true),
      ("identifier", false), (#"token "2""#, false), ("", false),
      (#"{"client_id":"x","client_secret":"y","registration_access_token":"z"}"#, false),
    ])
  func parts(_ text: String, _ isHeld: Bool) throws { #expect(try Self.holds(text) == isHeld) }

  @Test("but not by a token of a few characters, which occurs in any text")
  func shortToken() throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("found-\(UUID().uuidString)")
    try Data("abcdef".utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let pair = Pair(
      clientID: try Self.secret("identifier"), clientSecret: try Self.secret("another"),
      registrationToken: SharedSecret(try Self.secret("bc")))
    #expect(try !FoundPair(path: file.path).holds(pair))
  }
}
