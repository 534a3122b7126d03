import Testing

@Suite("What somebody could read at the provider with an administrator's pair")
struct ReachTests {
  /// `zeus` and `hera`, which administer themselves, and `crm`, which `zeus` administers. Bob can open `zeus`.
  private static func made() async throws -> Workplace {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "3"], addsAdmin: false)
    try await place.add("zeus", app: 1, admin: "self", policy: ["propagation=0s"])
    try await place.add("crm", app: 2, admin: "zeus", policy: ["propagation=0s"])
    try await place.add("hera", app: 3, admin: "self", policy: ["propagation=0s"])
    try await place.addMember("bob", "operator", grants: ["zeus"])
    return place
  }

  private func planned(_ place: Workplace) async throws -> [String] {
    let plan = try await place.relatch("log", "exposure", "--member", "bob", "--plan")
    #expect(plan.code == 0, "\(plan.errorText)")
    return plan.outputText.split(separator: "\n").map(String.init)
  }

  private func relatch(_ place: Workplace, _ arguments: String...) async throws {
    let run = try await place.run(Programs.relatch, arguments)
    #expect(run.code == 0, "\(arguments): \(run.errorText)")
  }

  @Test("is known to whoever could open a former administrator, and the replaced pair is found after its rotation")
  func former() async throws {
    let place = try await Self.made()
    try await relatch(place, "settings", "crm", "--admin", "hera")
    #expect(try await planned(place) == ["crm", "zeus"])
    try await relatch(place, "member", "remove", "bob")
    #expect(try await planned(place) == ["crm", "zeus"])
    let known = try await place.org.primary(ofApp: 2)
    try await relatch(place, "rotate", "crm")
    #expect(try await planned(place) == ["zeus"], "hera's pair, which made the new one, is not known to bob")
    let told = try await place.relatch("log", "exposure", "--member", "bob", "--json").objects()
    #expect(told.first?["owed"] as? [Int] == [1] && told.first?["through"] as? String == "zeus", "\(told)")
    try await relatch(place, "revoke", "--exposed-to", "bob", "--reason", "stolen")
    #expect(try await !place.org.grants(known))
    #expect(try await planned(place).isEmpty)
  }

  @Test("are the pairs that were made while the administrator's known pair was still accepted, too")
  func accepted() async throws {
    let place = try await Self.made()
    try await relatch(place, "member", "remove", "bob")
    try await relatch(place, "rotate", "crm")
    let told = try await place.relatch("log", "exposure", "--member", "bob")
    #expect(told.outputText.contains("crm: versions up to 2, "), "\(told.outputText)")
    #expect(told.errors.isEmpty, "bob can open nothing any more: \(told.errorText)")
    let object = try await place.relatch("log", "exposure", "--member", "bob", "--json").objects().first
    #expect(object?["standing"] as? String == "exposed" && object?["until"] == nil, "\(object ?? [:])")
    let known = try await [place.org.primary(ofApp: 1), place.org.primary(ofApp: 2)]
    // The administrator's pair ends before the others are replaced.
    try await relatch(place, "revoke", "--exposed-to", "bob", "--reason", "stolen")
    for pair in known { #expect(try await !place.org.grants(pair)) }
    let again = try await place.relatch("revoke", "--exposed-to", "bob", "--reason", "stolen")
    #expect(again.errorText.contains("there is nothing to revoke"), "\(again.errorText)")
  }

  @Test("are none of the pairs that were made after the administrator's known pair was refused")
  func refused() async throws {
    let place = try await Self.made()
    try await relatch(place, "member", "remove", "bob")
    try await relatch(place, "rotate", "zeus")
    try await relatch(place, "rotate", "crm")
    try await relatch(place, "retire", "zeus")
    #expect(try await planned(place) == ["crm"], "version 2 was made while zeus's version 1 was accepted")
    let told = try await place.relatch("log", "exposure", "--member", "bob", "--json").objects().first
    #expect(told?["newest_version"] as? Int == 2 && told?["until"] is String, "\(told ?? [:])")
    try await relatch(place, "retire", "crm")
    try await relatch(place, "rotate", "--exposed-to", "bob")
    #expect(try await planned(place).isEmpty)
  }
}
