import Foundation
import Testing

/// A pair is seen to be refused where it was made, and nowhere else: a server that never knew it refuses it, too.
@Suite("Settings that move a credential to another server", .timeLimit(.minutes(3)))
struct MoveTests {
  /// Two orgs, and `crm`, which administers itself, in the first.
  private static func made() async throws -> (place: Workplace, other: Workplace, move: [String]) {
    let (place, other) = (
      try await Workplace(["--every-app-is-admin"], addsAdmin: false),
      try await Workplace(["--every-app-is-admin"], addsAdmin: false)
    )
    try await place.add("crm", admin: "self", policy: ["propagation=0s", "grace=0s"])
    let app = try await other.org.apps()[1].identifier
    return (place, other, ["settings", "crm", "url=\(other.org.url)", "app=\(app)"])
  }

  private static func settle(_ place: Workplace, at other: Workplace) async throws -> Outcome {
    let adopted = try await place.relatch("adopt", "crm", "--stdin", stdin: other.org.primary().document)
    #expect([0, 12].contains(adopted.code), "\(adopted.errorText)")
    return try await place.relatch("retire", "crm")
  }

  @Test("waits while a pair is owed, and leaves behind what the former one may accept")
  func owed() async throws {
    let (place, other, move) = try await Self.made()
    let first = try await place.org.primary()
    #expect(try await place.relatch("policy", "crm", "grace=1d").code == 0)
    #expect(try await place.relatch("rotate", "crm").code == 0)
    let second = try await place.org.primary()
    let refused = try await place.run(Programs.relatch, move)
    expectFailure(refused, 75, "only where it was made")
    #expect(refused.errorText.contains("`relatch retire crm`") && refused.errorText.contains("--unanswered"))

    let moved = try await place.run(Programs.relatch, move + ["--unanswered"])
    #expect(moved.code == 0)
    #expect(moved.errorText.contains("version 1, 2 was made at the former place"), "\(moved.errorText)")
    let log = try await place.relatch("log", "list", "crm", "--last", "1", "--json", environment: Workplace.outsider)
    #expect(try log.objects().first?["elsewhere"] as? [Int] == [1, 2])
    let retired = try await Self.settle(place, at: other)
    #expect(retired.code == 12, "\(retired.errorText)")
    #expect(try await place.org.grants(first))
    #expect(try await place.org.grants(second))
    #expect(!retired.outputText.contains("seen to be refused") && retired.outputText.contains("made at a former place"))
    let shown = try await place.relatch("show", "crm")
    #expect(shown.outputText.split(separator: "\n").count { $0.hasSuffix("made at a former place") } == 2)
    let list = try await place.relatch("log", "list", "crm", "--json")
    let refusals = try list.objects().filter { $0["event"] as? String == "rotation.refused" }
    #expect(refusals.count == 1 && refusals.allSatisfy { ($0["refused"] as? [Any])?.isEmpty == true })
    #expect(refusals.first?["elsewhere"] as? [Int] == [1, 2], "\(refusals)")
    #expect(try await place.logIsIntact())
  }

  @Test("waits while a leak stands, and no report says afterwards that what leaked is refused")
  func leaked() async throws {
    let (place, other, move) = try await Self.made()
    let leaked = try await place.org.primary()
    try await place.org.fault("unavailable", "DELETE", "*")
    #expect(try await place.relatch("revoke", "crm", "--reason", "in a ticket").code == 12)
    expectFailure(try await place.run(Programs.relatch, move), 75, "only where it was made")
    #expect(try await place.run(Programs.relatch, move + ["--unanswered"]).code == 0)
    // The run that adopted it has ended the leak as far as that goes, and says so with 12.
    _ = try await Self.settle(place, at: other)
    #expect(try await place.relatch("resume", "crm").code == 0)
    #expect(try await place.org.grants(leaked))
    let listed = try await place.relatch("incident")
    #expect(listed.outputText.contains("  elsewhere\n"), "\(listed.outputText)")
    let incident = try await place.relatch("incident", "crm")
    #expect(incident.outputText.contains("left behind at a former place"), "\(incident.outputText)")
    #expect(incident.outputText.contains("refused   not everything that leaked"), "\(incident.outputText)")
    let page = try await place.relatch("incident", "crm", "--html")
    #expect(!page.outputText.contains("the provider was seen to refuse it"))
    #expect(try await place.logIsIntact())
  }

  @Test("makes a refusal of what was made before it say nothing, until it is taken back")
  func found() async throws {
    let (place, other, move) = try await Self.made()
    let first = try await place.org.primary()
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await place.relatch("retire", "crm").code == 0)
    let former = try await [
      "settings", "crm", "url=\(place.org.url)", "app=\(place.org.apps()[1].identifier)",
    ]
    #expect(try await place.run(Programs.relatch, move).code == 0)
    let revoke = ["revoke", "--pair-file", "-", "--reason", "found"]
    let unknown = try await place.run(Programs.relatch, revoke, stdin: first.document)
    #expect(unknown.code == 69 && unknown.errorText.contains("is not known"), "\(unknown.errorText)")
    #expect(!(unknown.outputText + unknown.errorText).contains("the provider refuses it"))
    #expect(try await place.run(Programs.relatch, former).code == 0)
    let known = try await place.run(Programs.relatch, revoke, stdin: first.document)
    #expect(known.code == 0 && known.outputText.contains("the provider refuses it"), "\(known.errorText)")
    _ = other
  }
}
