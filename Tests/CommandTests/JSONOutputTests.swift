import Foundation
import Testing

/// The page tells the authors of programs everything that the output has.
@Suite("The page on JSON output")
struct JSONOutputTests {
  private static let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../../docs/json-output.md").standardized

  /// For each word in the first column of all tables, the words in backticks in the last column of its row.
  private static func rows() throws -> [String: Set<String>] {
    try String(contentsOf: page, encoding: .utf8).split(separator: "\n").filter { $0.hasPrefix("| `") }
      .reduce(into: [:]) { rows, line in
        let cells = line.split(separator: "|").map(String.init)
        let words = cells.map { cell in cell.matches(of: #/`([^`]+)`/#).map { String($0.1) } }
        rows[try #require(words.first?.first), default: []].formUnion(words.last ?? [])
      }
  }

  /// The members of `objects` that the page does not have in the row of their type, each with that type.
  private static func unknown(in objects: [[String: Any]]) throws -> Set<String> {
    let rows = try rows()
    return try objects.reduce(into: []) { unknown, object in
      let type = try #require(object["type"] as? String, "\(object)")
      var known = try #require(rows[type], "\(type)").union(["type"])
      // The members of an outcome are in a table of their own.
      if let outcome = object["outcome"] as? String { known.formUnion(try #require(rows[outcome], "\(outcome)")) }
      unknown.formUnion(object.keys.filter { !known.contains($0) }.map { "\(type).\($0)" })
    }
  }

  @Test("lists every member that a rotation, a leak, a handoff and the verbs that show them print")
  func members() async throws {
    let teams = try await TwoTeams(["--apps", "2"])
    let place = teams.place
    var objects: [[String: Any]] = []
    func tell(_ arguments: [String], _ environment: [String: String] = [:]) async throws {
      let told = try await place.run(Programs.relatch, arguments + ["--json"], environment: environment)
      objects += try told.objects()
    }
    try await place.add("crm", policy: ["max-age=1d", "grace=1h", "propagation=0s", "tags=prod"])
    try await place.add("erp", app: 2)
    let bob = try await place.addMember("bob", "operator", grants: ["crm"])
    #expect(try await place.relatch("read", "crm", environment: bob).code == 0)
    try await tell(["member", "list"])
    try await tell(["member", "remove", "bob"])
    let hook = ["hook", "add", "crm", "--on", "promoted", "--name", "tell", "--", "/bin/sh", "-c", "cat; exit 1"]
    #expect(try await place.run(Programs.relatch, hook).code == 0)
    let looks = [["list"], ["show", "crm"], ["status"], ["plan", "--all", "--offline"], ["doctor", "--offline"]]
    for look in looks { try await tell(look) }
    for verb in [["rotate", "crm", "erp", "nope"], ["resume"], ["retire", "erp"], ["deliver", "crm"]] {
      try await tell(verb)
    }
    try await place.org.fault("sessionEnded", "DELETE", "*")
    let leaked = place.folder.path + "/leaked"
    try Data(try await place.org.primary(ofApp: 2).document.utf8).write(to: URL(fileURLWithPath: leaked))
    try await tell(["revoke", "--pair-file", leaked, "--reason", "x"])
    try await tell(["revoke", "crm", "admin", "--reason", "x"])
    for look in looks + [["incident"], ["incident", "crm"]] { try await tell(look) }
    try await tell(["log", "exposure", "--member", "bob"])
    try await place.org.clearFaults()
    for verb in [["resume", "crm"]] + looks + [["incident", "crm"]] { try await tell(verb) }
    #expect(try await place.relatch("settings", "admin", "app=\(place.org.apps()[0].identifier)").code == 0)
    try await tell(["resume"])
    #expect(try await place.relatch("hook", "remove", "crm", "tell").code == 0)
    #expect(try await place.relatch("resume").code == 0)
    let file = teams.path("crm.age")
    try await tell(["handoff", "send", "crm", "--to", teams.card, "--transfer", "--note", "a note", "-o", file])
    for look in looks { try await tell(look) }
    try await tell(["handoff", "open", file, "--show"], teams.theirs)
    let open = ["handoff", "open", file, "--admin", "admin", "--from", teams.key, "-o", teams.path("receipt")]
    try await tell(open, teams.theirs)
    try await tell(["handoff", "confirm", teams.path("receipt")])
    for verb in [["resume"], ["log", "verify"], ["remove", "erp"]] { try await tell(verb) }

    let unknown = try Self.unknown(in: objects)
    #expect(unknown.isEmpty, "\(unknown)")
    let types = Set(objects.compactMap { $0["type"] as? String })
    for type in ["credential", "status", "plan", "step", "outcome", "summary", "owed", "found", "handoff", "error"] {
      #expect(types.contains(type), "\(type)")
    }
    for type in ["credential", "status"] {
      let leaks = objects.filter { $0["type"] as? String == type }.compactMap { $0["leak"] as? [String: Any] }
      #expect(!leaks.isEmpty && leaks.allSatisfy { $0.keys.sorted() == ["incident", "since", "version"] }, "\(type)")
      let reaches = objects.filter { $0["type"] as? String == type }.compactMap { $0["reach"] as? [String: Any] }
      #expect(!reaches.isEmpty && reaches.allSatisfy { $0.keys.sorted() == ["by", "incident", "since"] }, "\(type)")
    }
  }
}
