import Foundation
import Testing

@Suite("The report of an incident")
struct IncidentTests {
  /// What a person could write to do harm in a page.
  private static let reason = #"in a <script>alert("x")</script> & 'quoted' </pre> repository"#

  private func afterLeak() async throws -> (place: Workplace, secrets: [String]) {
    let place = try await Workplace(["--apps", "2"])
    try await place.add("crm")
    try await place.add("erp", app: 2)
    let sink = place.folder.appendingPathComponent("pair.json").path
    #expect(try await place.relatch("sink", "add", "crm", sink).code == 0)
    #expect(try await place.relatch("deliver", "crm").code == 0)
    #expect(try await place.pair("crm") != nil)
    let before = try await place.org.pairs()
    #expect(try await place.relatch("revoke", "crm", "erp", "--reason", Self.reason).code == 0)
    let pairs = try await before.union(place.org.pairs())
    return (place, pairs.flatMap { [$0.key, $0.secret] })
  }

  @Test("says when the leak was reported, replaced, delivered and refused, who had the pair, and nothing secret")
  func told() async throws {
    let (place, secrets) = try await afterLeak()
    let text = try await place.relatch("incident", "crm").outputText
    for words in [
      "version 1 leaked", "reported by owner", "version 2 has replaced what leaked", "version 2 arrived at pair.json",
      "what leaked was seen to be refused", "owner read it once", "it was delivered to pair.json once", "owed: nothing",
    ] { #expect(text.contains(words), "\(words): \(text)") }
    let json = try #require(try await place.relatch("incident", "crm", "--json").objects().first)
    let name = try #require(json["incident"] as? String)
    let parts = try #require(json["credentials"] as? [[String: Any]])
    #expect(parts.map { $0["credential"] as? String } == ["crm", "erp"])
    #expect(parts.allSatisfy { ($0["owed"] as? [Int])?.isEmpty == true && $0["refused"] != nil })
    #expect(json["milliseconds"] as? Int ?? -1 >= 0)
    // Each proof is the one that `log prove` prints for that entry.
    for proof in try #require(json["proofs"] as? [[String: Any]]) {
      let entry = try #require(proof["entry"] as? Int)
      let proved = try #require(try await place.relatch("log", "prove", "\(entry)", "--json").objects().first)
      #expect(proof["proof"] as? String == proved["proof"] as? String)
      #expect(proof["text"] as? String == proved["text"] as? String)
    }
    #expect(try await place.relatch("incident", name).outputText.contains("erp: version 1 leaked"))
    let page = try await place.relatch("incident", name, "--html").outputText
    let listed = try await place.relatch("incident").outputText
    #expect(listed.contains(name) && !listed.contains("owed"))
    for output in [text, page, listed, try await place.relatch("incident", name, "--json").outputText] {
      for secret in secrets { #expect(!output.contains(secret)) }
    }
    #expect(!page.contains("<script") && page.contains("&lt;script&gt;alert(&quot;x&quot;)"))
    expectFailure(try await place.relatch("incident", "nope"), 66)
    #expect(try await place.relatch("incident", "--html").code == 64)
  }

  @Test("names everyone who could have the leaked pair, also who could no longer open it when it was reported")
  func holders() async throws {
    let place = try await Workplace(["--apps", "2"])
    try await place.add("crm")
    try await place.addMember("bob", "operator", grants: ["crm"])
    try await place.addMember("dora", "operator", grants: ["admin"])
    #expect(try await place.relatch("member", "remove", "bob").code == 0)
    #expect(try await place.relatch("revoke", "crm", "--reason", "x").code == 0)
    // Who could open it only later did not have what leaked.
    try await place.addMember("eve", "operator", grants: ["crm"])
    let text = try await place.relatch("incident", "crm").outputText
    #expect(text.contains(/open to bob \(until 2[^)]*\), dora \(through admin\), owner\n/), "\(text)")
    let page = try await place.relatch("incident", "crm", "--html").outputText
    #expect(page.contains("dora (through admin), owner.</p>"), "\(page)")
    let json = try #require(try await place.relatch("incident", "crm", "--json").objects().first)
    let part = try #require((json["credentials"] as? [[String: Any]])?.first)
    let open = try #require(part["open_to"] as? [[String: String]])
    #expect(open.map { $0["member"] } == ["bob", "dora", "owner"])
    #expect(open.map { $0["through"] } == [nil, "admin", nil])
    #expect(open.map { $0["until"] != nil } == [true, false, false])
  }

  @Test("says what is owed, and ends with 12 while anything is")
  func owed() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    try await place.org.fault("sessionEnded", "DELETE", "*")
    #expect(try await place.relatch("revoke", "crm", "--reason", "x").code == 12)
    // Reported again, it is the same incident.
    #expect(try await place.relatch("revoke", "crm", "--reason", "y").code != 0)
    let listed = try await place.relatch("incident")
    #expect(listed.code == 12 && listed.outputText.split(separator: "\n").count == 1)
    let told = try await place.relatch("incident", "crm")
    #expect(told.code == 12 && told.outputText.contains("owed: version 1 has not been seen to be refused"))
    #expect(told.outputText.contains("retire did not happen yet"))
    #expect(try await place.relatch("incident", "crm", "--html").outputText.contains("still owed"))
    try await place.org.clearFaults()
    #expect(try await place.relatch("resume").code == 0)
    for arguments in [["incident", "crm"], ["incident"]] {
      #expect(try await place.run(Programs.relatch, arguments).code == 0)
    }
  }

  @Test("names the founding owner's key beside that of whoever looked, and what it takes to see the rest")
  func keys() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let dora = try await place.addMember("dora", "operator", grants: ["admin"])
    #expect(try await place.relatch("revoke", "crm", "--reason", "x").code == 0)
    let owner = try #require(try await place.relatch("log", "verify", "--json").objects().first?["owner"] as? String)
    #expect(try await place.relatch("log", "list", environment: dora).code == 0)
    let json = try #require(try await place.relatch("incident", "crm", "--json", environment: dora).objects().first)
    #expect(json["owner"] as? String == owner && json["member"] as? String == "dora")
    let key = try #require(json["key"] as? String)
    #expect(key != owner)
    let text = try await place.relatch("incident", "crm", environment: dora).outputText
    let page = try await place.relatch("incident", "crm", "--html", environment: dora).outputText
    for shown in [text, page] { #expect(shown.contains(owner) && shown.contains(key), "\(shown)") }
    #expect(text.contains("a bundle of admin crm") && page.contains("a bundle of admin, crm"))
  }

  @Test("stays whole, and also tells of a pair that was found again after the end")
  func foundAgain() async throws {
    let place = try await Workplace(["--apps", "2"])
    try await place.add("crm")
    try await place.add("erp", app: 2)
    let leaked = try await place.org.primary().document
    #expect(try await place.relatch("revoke", "--pair-file", "-", "--reason", "in a ticket", stdin: leaked).code == 0)
    let first = try await place.relatch("incident", "crm").outputText
    let again = try await place.relatch(
      "revoke", "--pair-file", "-", "--reason", "checking again", "--json", stdin: leaked)
    #expect(again.code == 0, "\(again.errorText)")
    #expect(try await place.holdsPrimary("crm"))
    let shown = try await place.relatch("show", "crm", "--json").objects().first
    #expect((shown?["versions"] as? [Any])?.count == 2)
    let second = try #require(
      try again.objects().first { $0["type"] as? String == "found" }?["incident"] as? String)
    for name in ["crm", second] {
      let told = try await place.relatch("incident", name)
      #expect(told.code == 0 && told.outputText.hasPrefix(first.split(separator: "\n")[0]), "\(told.outputText)")
      for words in ["in a ticket", "version 2 has replaced what leaked", "the provider accepts it", "checking again"] {
        #expect(told.outputText.contains(words), "\(words): \(told.outputText)")
      }
      #expect(told.outputText.hasPrefix(first.split(separator: "\n").prefix(3).joined(separator: "\n")), "\(first)")
      #expect(told.outputText.components(separatedBy: "the provider refuses it").count == 2, "\(told.outputText)")
    }
    #expect(try await place.relatch("incident").outputText.split(separator: "\n").count == 1)

    // Replaced by schedule, and reported only afterwards: there was nothing to do, and no speed is reported.
    let old = try await place.org.primary(ofApp: 2).document
    #expect(try await place.relatch("rotate", "erp").code == 0)
    #expect(try await place.relatch("retire", "erp").code == 0)
    #expect(try await place.relatch("revoke", "--pair-file", "-", "--reason", "late", stdin: old).code == 0)
    let late = try await place.relatch("incident", "erp")
    #expect(late.outputText.contains("refused   before it was reported") && !late.outputText.contains("0.000 s"))
    #expect(late.outputText.contains("the provider refuses it"), "\(late.outputText)")
    let page = try await place.relatch("incident", "erp", "--html").outputText
    #expect(page.contains("before it was reported") && !page.contains("Time to revoke"))
  }

  @Test("is readable and accessible in a browser without a network, at 360 and at 1440 pixels")
  func page() async throws {
    let (place, _) = try await afterLeak()
    let page = place.folder.appendingPathComponent("incident.html").path
    #expect(try await place.relatch("incident", "crm", "--html", "-o", page).code == 0)
    let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Browser/check_page.py").path
    let checked = try await place.run("/usr/bin/python3", [script, page, ".timeline li", "h1", "dl dd"])
    if checked.code == 69 { return print("skipped: \(checked.line)") }
    #expect(checked.code == 0, "\(checked.outputText)\(checked.errorText)")
  }
}
