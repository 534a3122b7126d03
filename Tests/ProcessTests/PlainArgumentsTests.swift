import ArgumentParser
import Testing

@testable import relatch

struct PlainArgumentsTests {
  /// Whether `plain` is what the parser makes of `line`.
  private static func isParsed(_ line: [String], as plain: any PlainCommand) throws -> Bool {
    switch try Relatch.parseAsRoot(line) {
    case let command as ReadCommand: command.reading == plain as? PairReading
    case let command as ListCommand: command.listing == plain as? CredentialListing
    default: false
    }
  }

  /// Every command line of at most three words after the verb.
  private static func lines(of verb: String, _ vocabulary: [String]) -> [[String]] {
    var lines = [[verb]]
    var longest = lines
    for _ in 0..<3 {
      longest = longest.flatMap { line in vocabulary.map { line + [$0] } }
      lines += longest
    }
    return lines
  }

  @Test(arguments: ["read", "list"])
  func whatIsTakenIsWhatTheParserTakes(verb: String) throws {
    let vocabulary = [
      "crm", "help", "", "-", "--", "--help", "--field", "pair", "--stage", "--vault", "--passphrase-fd", "7", "--json",
      "--field=pair", "--no-json",
    ]
    var taken = 0
    for line in Self.lines(of: verb, vocabulary) {
      guard let plain = Relatch.plainCommand(line[...]) else { continue }
      taken += 1
      #expect(try Self.isParsed(line, as: plain), "\(line)")
    }
    #expect(taken > (verb == "read" ? 50 : 5))
  }

  @Test func eachOptionArrives() throws {
    let line = [
      "read", "--vault", "v", "--field", "client_secret", "crm", "--stage", "previous", "--identity", "i", "--quiet",
      "--accept-rollback", "--json",
    ]
    let plain = try #require(Relatch.plainCommand(line[...]))
    let settings = CommonSettings(vault: "v", identity: "i", acceptRollback: true, json: true, quiet: true)
    #expect(
      plain as? PairReading
        == PairReading(settings: settings, name: "crm", field: .clientSecret, stage: "previous"))
    #expect(try Self.isParsed(line, as: plain))
  }

  @Test(arguments: [
    "read", "read a b", "read a --field", "read a --field other", "read a --json --json", "read a --vault x --vault y",
    "read a --vault --json", "read a --passphrase-fd 3", "read --help", "read a -h", "read -- a", "list a",
    "list --field pair", "show a", "--version", "",
  ])
  func theRestIsLeftToTheParser(line: String) {
    #expect(Relatch.plainCommand(line.split(separator: " ").map(String.init)[...]) == nil)
  }
}
