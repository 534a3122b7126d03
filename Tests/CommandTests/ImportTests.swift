import Foundation
import Testing

@Suite("Credentials from elsewhere")
struct ImportTests {
  private static let secret = "5ECRETwithQuote\\\"0123456789"

  private func file(_ place: Workplace, _ text: String, mode: Int = 0o600) throws -> String {
    let file = place.folder.appendingPathComponent("import-\(UUID().uuidString)")
    try Data(text.utf8).write(to: file)
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path)
    return file.path
  }

  @Test("are read from an AWS managed external secret, a dotenv file and JSON Lines, and are not printed")
  func forms() async throws {
    let place = try await Workplace(addsAdmin: false)
    let aws = try file(
      place,
      #"{"consumerKey":"3MVG9aws","consumerSecret":"aws-secret-1","baseUri":"https://a.my.salesforce.com","#
        + #""appId":"0xI000000000001","consumerId":"888000000000001"}"#)
    let dotenv = try file(
      place,
      "# set by hand\nexport SALESFORCE_CONSUMER_KEY=3MVG9env\nSALESFORCE_CONSUMER_SECRET='env secret#1'\r\nOTHER=x # y\n"
    )
    let lines =
      #"{"name":"team/one","provider":"salesforce","admin":"root","settings":{"url":"https://a.my.salesforce.com","app":"0xI000000000002"},"policy":{"grace":"2h"},"client_id":"id-1","client_secret":"\#(Self.secret)"}"#
      + "\n\n"
      + #"{"name":"root","settings":{"url":"https://a.my.salesforce.com"},"created":"2026-01-01T00:00:00Z","client_id":"id-2","client_secret":"line-secret-2"}"#
      + "\n"
    let outcomes = [
      try await place.relatch("add", "aws", "--import", aws),
      try await place.relatch(
        "add", "env", "--import", dotenv, "--provider", "salesforce", "--set", "url=https://b.my.salesforce.com"),
      try await place.relatch("add", "--import", "-", "--provider", "salesforce", stdin: lines),
    ]
    for outcome in outcomes {
      #expect(outcome.code == 0, "\(outcome.errorText)")
      for secret in ["aws-secret-1", "env secret#1", "5ECRET", "line-secret-2", "3MVG9"] {
        #expect(!(outcome.outputText + outcome.errorText).contains(secret))
      }
    }
    let expected = [
      ("aws", "3MVG9aws", "aws-secret-1"), ("env", "3MVG9env", "env secret#1"),
      ("team/one", "id-1", "5ECRETwithQuote\"0123456789"), ("root", "id-2", "line-secret-2"),
    ]
    for (name, id, secret) in expected {
      let pair = try #require(try await place.pair(name), "\(name)")
      #expect(pair.key == id && pair.secret == secret, "\(name)")
    }
    let shown = try await place.relatch("show", "aws", "--json").objects()
    let settings = try #require(shown.first?["settings"] as? [String: String])
    #expect(
      settings == [
        "url": "https://a.my.salesforce.com", "app": "0xI000000000001", "consumer": "888000000000001",
      ])
    let one = try await place.relatch("show", "team/one", "--json").objects()
    #expect(one.first?["admin"] as? String == "root")
    #expect(try await place.logIsIntact())
  }

  @Test("are refused where what was typed for one name is not what its entry says, and both are said")
  func typed() async throws {
    let place = try await Workplace(addsAdmin: false)
    let entry =
      #"{"name":"a","provider":"salesforce","admin":"self","settings":{"url":"https://a.my.salesforce.com"},"#
      + #""policy":{"grace":"2h"},"client_id":"id","client_secret":"hidden-secret"}"# + "\n"
    for (options, said) in [
      (["x"], #"name "a", but "x""#), (["a", "--provider", "auth0"], #"provider "salesforce", but "auth0""#),
      (["a", "--admin", "root"], #"admin "a", but "root""#),
      (["a", "--set", "url=https://b"], #"setting url "https://a.my.salesforce.com", but "https://b""#),
      (["a", "--policy", "grace=1h"], #"rule grace "2h", but "1h""#),
    ] {
      let outcome = try await place.run(Programs.relatch, ["add"] + options + ["--import", "-"], stdin: entry)
      expectFailure(outcome, 64, "the object has \(said) was given")
      #expect(!outcome.errorText.contains("hidden-secret"))
    }
    #expect(try await place.relatch("list").outputText.isEmpty)
    // The same words, what the entry leaves open, and defaults for a file of many.
    for options in [
      [
        "a", "--provider", "salesforce", "--admin", "self", "--set", "url=https://a.my.salesforce.com", "--policy",
        "max-age=90d",
      ],
      ["--provider", "auth0", "--set", "url=https://b.example"],
    ] {
      let added = try await place.run(Programs.relatch, ["add"] + options + ["--import", "-"], stdin: entry)
      #expect(added.code == 0, "\(added.errorText)")
      #expect(try await place.relatch("settings", "a").outputText.contains("url=https://a.my.salesforce.com"))
      #expect(try await place.relatch("remove", "a").code == 0)
    }
  }

  @Test("are refused in a file that others may read, and the hint says what to do")
  func readable() async throws {
    let place = try await Workplace(addsAdmin: false)
    for mode in [0o640, 0o604, 0o666] {
      let path = try file(place, "CLIENT_ID=a\nCLIENT_SECRET=hidden-secret\n", mode: mode)
      let outcome = try await place.relatch(
        "add", "x", "--import", path, "--provider", "salesforce", "--set", "url=https://b.my.salesforce.com")
      expectFailure(outcome, 78, "may be read by others")
      #expect(outcome.errorText.contains("chmod 600") && !outcome.errorText.contains("hidden-secret"))
    }
    #expect(try await place.relatch("list").outputText.isEmpty)
  }

  @Test("are refused in a dotenv file with the same part of a pair twice, and the error names the line once")
  func ambiguous() async throws {
    let place = try await Workplace(addsAdmin: false)
    for more in [
      "B_CLIENT_ID=2\n", "A_CLIENT_SECRET=other-secret\n", "A_CLIENT_ID=1\n", "X_CONSUMER_SECRET=other-secret\n",
    ] {
      for content in [
        more + "A_CLIENT_ID=1\nA_CLIENT_SECRET=hidden-secret\n",
        "A_CLIENT_ID=1\nA_CLIENT_SECRET=hidden-secret\n" + more,
      ] {
        let outcome = try await place.relatch(
          "add", "x", "--import", file(place, content), "--provider", "salesforce", "--set",
          "url=https://b.my.salesforce.com")
        expectFailure(outcome, 65)
        #expect(!outcome.errorText.contains("-secret"), "\(outcome.errorText)")
      }
    }
    let lines = #"{"name":"a","provider":"salesforce","client_id":"","client_secret":"hidden-secret"}"#
    let empty = try await place.relatch("add", "--import", file(place, lines + "\n" + lines + "\n"))
    expectFailure(empty, 65, "line 1: the client's identifier")
    #expect(!empty.errorText.contains("line 1: line 1"), "\(empty.errorText)")
    #expect(try await place.relatch("list").outputText.isEmpty)
  }

  @Test("are refused in a file of another user, in one that is too large, and in a missing one")
  func unfit() async throws {
    let place = try await Workplace(addsAdmin: false)
    func imported(_ path: String) async throws -> Outcome {
      try await place.relatch(
        "add", "x", "--import", path, "--provider", "salesforce", "--set", "url=https://b.my.salesforce.com")
    }
    let pair = "CLIENT_ID=a\nCLIENT_SECRET=hidden-secret\n"
    let large = try file(place, String(repeating: "\n", count: 8 << 20) + pair)
    expectFailure(try await imported(large), 65, "more than 8388608 bytes")
    expectFailure(try await imported(place.folder.path + "/none"), 66, "none")
    // Only root can read such a file, or make one.
    if geteuid() == 0 {
      let foreign = try file(place, pair)
      #expect(chown(foreign, 12345, 12345) == 0)
      expectFailure(try await imported(foreign), 78, "belongs to another user")
    }
    #expect(try await place.relatch("list").outputText.isEmpty)
  }

  @Test(
    "are not imported at all if one line is wrong, and the line is named",
    arguments: [
      (#"{"name":"b","client_id":"x"}"#, 65, "line 2"),
      (#"{"name":"b","client_id":"x","client_secret":"hidden-secret","more":1}"#, 65, "line 2"),
      (#"{"name":"b","client_id":"x","client_secret":"hidden-secret""#, 65, "line 2"),
      (#"{"name":"a","client_id":"x","client_secret":"hidden-secret"}"#, 64, "twice"),
      (#"{"client_id":"x","client_secret":"hidden-secret"}"#, 64, "no name"),
      (#"{"name":"b","provider":"nobody","client_id":"x","client_secret":"hidden-secret"}"#, 78, "line 2"),
      (#"{"name":"b","settings":{"url":"ftp://x"},"client_id":"x","client_secret":"hidden-secret"}"#, 78, "line 2"),
      (#"{"name":"b","admin":"nowhere","client_id":"x","client_secret":"hidden-secret"}"#, 66, "nowhere"),
      (#"{"name":"b","client_id":"x","client_secret":"hidden\u0000secret"}"#, 65, "line 2"),
      (
        #"{"name":"b","admin":"c","client_id":"y","client_secret":"hidden-secret"}"# + "\n"
          + #"{"name":"c","admin":"d","client_id":"z","client_secret":"hidden-secret"}"# + "\n"
          + #"{"name":"d","admin":"b","client_id":"v","client_secret":"hidden-secret"}"#, 64,
        "let one of them administer itself"
      ),
    ] as [(String, Int32, String)])
  func allOrNothing(_ line: String, _ code: Int32, _ words: String) async throws {
    let place = try await Workplace(addsAdmin: false)
    let text = #"{"name":"a","client_id":"x","client_secret":"hidden-secret"}"# + "\n" + line + "\n"
    let outcome = try await place.relatch(
      "add", "--import", "-", "--provider", "salesforce", "--set", "url=https://b.my.salesforce.com", stdin: text)
    expectFailure(outcome, code, words)
    #expect(!outcome.errorText.contains("hidden"))
    #expect(try await place.relatch("list").outputText.isEmpty)
  }

  @Test("are refused if another line, or another credential, has the pair for the same app: 64, and nothing is added")
  func twice() async throws {
    let place = try await Workplace(addsAdmin: false)
    func line(_ name: String, _ client: String, app: String? = "0xI000000000001", url: String = "a") -> String {
      let settings = app.map { #","app":"\#($0)""# } ?? ""
      return #"{"name":"\#(name)","provider":"salesforce","settings":{"url":"https://\#(url).my.salesforce.com""#
        + settings + #"},"client_id":"\#(client)","client_secret":"hidden-secret"}"# + "\n"
    }
    func imported(_ lines: String) async throws -> Outcome {
      try await place.relatch("add", "--import", "-", stdin: lines)
    }
    expectFailure(try await imported(line("sales/crm", "x") + line("b", "x")), 64, "have the same pair")
    #expect(try await place.relatch("list").outputText.isEmpty)
    #expect(try await imported(line("sales/crm", "x") + line("erp", "y")).code == 0)
    let taken = try await imported(line("new", "z") + line("finance/crm", "x", url: "A"))
    expectFailure(taken, 64, "finance/crm: its pair is that of sales/crm, as version 1, already")
    #expect(taken.errorText.contains("`relatch sink add sales/crm") && !taken.errorText.contains("hidden"))
    let one = try await place.relatch(
      "add", "finance/crm", "--provider", "salesforce", "--set", "url=https://a.my.salesforce.com", "--set",
      "app=0xI000000000001",
      stdin: #"{"client_id":"x","client_secret":"hidden-secret"}"#)
    expectFailure(one, 64, "its pair is that of sales/crm")
    let compared = try await place.relatch("log", "list", "--json").objects().filter {
      $0["purpose"] as? String == "comparison"
    }
    #expect(compared.compactMap { $0["credential"] as? String }.sorted() == ["erp", "erp", "sales/crm", "sales/crm"])
    expectFailure(try await imported(line("used", "x", app: nil)), 64, "a rotation of sales/crm would end it for used")
    // For another app, elsewhere, or where nothing can end it, it is another credential's own matter.
    let others = line("a", "x", app: "0xI000000000002") + line("b", "x", url: "b") + line("c", "w", app: nil)
    #expect(try await imported(others + line("d", "w", app: nil)).code == 0)
    #expect(try await place.relatch("list").outputText.split(separator: "\n").count == 6)
  }

  @Test("are read from a file that begins with a byte order mark; UTF-16 is refused, and named: 65")
  func mark() async throws {
    let place = try await Workplace(addsAdmin: false)
    let line = #"{"name":"a","client_id":"x","client_secret":"hidden-secret"}"# + "\n"
    for (name, text) in [("one", "CLIENT_ID=a\r\nCLIENT_SECRET=hidden-secret\r\n"), (nil, line)] {
      let arguments = ["add", name, "--import", "-"].compactMap(\.self)
      let options = ["--provider", "salesforce", "--set", "url=https://b.my.salesforce.com"]
      let added = try await place.run(Programs.relatch, arguments + options, stdin: "\u{FEFF}" + text)
      #expect(added.code == 0, "\(added.errorText)")
    }
    let pair = #"{"client_id":"x","client_secret":"hidden-secret"}"#
    let options = ["--provider", "salesforce", "--set", "url=https://b.my.salesforce.com"]
    #expect(try await place.run(Programs.relatch, ["add", "two"] + options, stdin: "\u{FEFF}" + pair).code == 0)
    #expect(try await place.relatch("read", "two").line == pair)
    let wide = place.folder.appendingPathComponent("wide")
    try (try #require(line.data(using: .utf16))).write(to: wide)
    #expect(chmod(wide.path, 0o600) == 0)
    let refused = try await place.run(Programs.relatch, ["add", "--import", wide.path] + options)
    expectFailure(refused, 65, "it is UTF-16, expected UTF-8")
  }

  @Test(
    "are refused if they are not a pair in any known form",
    arguments: [
      "", "CLIENT_ID=a\n", "CLIENT_ID=a\nCLIENT_SECRET=b\nMY_CLIENT_ID=c\nMY_CLIENT_SECRET=d\n", "nonsense\n",
      "CLIENT_ID=a\nCLIENT_SECRET=\"b\\n\"\n", "CLIENT_ID=a\nCLIENT_SECRET='b\n",
      // Some readers treat the rest as a comment, others as part of the value, and some drop the blanks.
      "CLIENT_ID=a\nCLIENT_SECRET=b # comment\n", "CLIENT_ID=a\nCLIENT_SECRET=b\t#comment\n",
      "CLIENT_ID=a\nCLIENT_SECRET=#b\n", "CLIENT_ID= a\nCLIENT_SECRET=b\n",
    ])
  func nothing(_ text: String) async throws {
    let place = try await Workplace(addsAdmin: false)
    let outcome = try await place.relatch(
      "add", "x", "--import", "-", "--provider", "salesforce", "--set", "url=https://b.my.salesforce.com", stdin: text)
    expectFailure(outcome, 65, "cannot be read")
  }
}
