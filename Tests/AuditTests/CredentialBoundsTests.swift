import JSON
import Testing

@testable import Audit

/// What owners took back stays taken back, and nothing else does.
@Suite struct CredentialBoundsTests {
  /// What the owner's `entries` leave, the first of which is entry 1.
  private static func bounds(_ entries: [(event: String, details: [String: JSONValue])]) throws -> CredentialBounds {
    var membership = try Membership(genesis: Fixture.genesis())
    for (place, entry) in entries.enumerated() {
      let index = UInt64(place + 1)
      try membership.apply(Fixture.entry("ana", entry.event, at: Int64(index), entry.details), at: index)
    }
    return membership.bounds
  }

  private static func allowed(_ bounds: CredentialBounds, _ name: String) -> [UInt64] {
    (0...9).filter { bounds.allowsTerms(of: name, at: $0) }
  }

  @Test(arguments: [[:], ["with_all": false], ["with_all": 1]] as [[String: JSONValue]])
  func `terms of before a new key are refused`(_ details: [String: JSONValue]) throws {
    let bounds = try Self.bounds([
      ("credential.added", ["credential": "crm", "terms": "t"]),
      ("credential.added", ["credential": "erp", "terms": "t"]),
      ("credential.rekeyed", details.merging(["credential": "crm"]) { $1 }),
    ])
    #expect(Self.allowed(bounds, "crm") == Array(3...9))
    #expect(Self.allowed(bounds, "erp") == Array(0...9))
    #expect(bounds.rekeyed == ["crm": 3] && bounds.renewal == nil)
  }

  @Test func `terms of before all keys were renewed are refused`() throws {
    let rekeyed: [(String, [String: JSONValue])] = [
      ("credential.rekeyed", ["credential": "erp"]),
      ("vault.rekeyed", ["key": "0123456789abcdef", "credentials": true]),
      ("credential.rekeyed", ["credential": "crm", "with_all": true]),
    ]
    let bounds = try Self.bounds(rekeyed)
    for name in ["crm", "erp"] { #expect(Self.allowed(bounds, name) == Array(3...9)) }
    #expect(bounds.renewal == 2 && bounds.rekeyed == [:])
    // The vault's key alone changes nothing here.
    for details: [String: JSONValue] in [[:], ["credentials": false], ["credentials": "true"]] {
      let entry = ("vault.rekeyed", details.merging(["key": "0123456789abcdef"]) { $1 })
      #expect(try Self.bounds([rekeyed[0], entry]).renewal == nil)
    }
  }

  @Test func `what was removed stays removed when a credential of a similar name is`() throws {
    let before: [(String, [String: JSONValue])] = [
      ("delivery.removed", ["credential": "crm2", "delivery": "a"]), ("credential.removed", ["credential": "crm3"]),
      ("credential.removed", ["credential": "crm"]),
    ]
    let bounds = try Self.bounds(before)
    #expect(bounds.removed == ["crm2 a": 1, "crm3": 2, "crm": 3])
    #expect(Self.allowed(bounds, "crm") == Array(4...9))
    #expect(Self.allowed(bounds, "crm2") == Array(0...9))
    #expect(Self.allowed(bounds, "crm3") == Array(3...9))
    for (delivery, name, first) in [
      ("a", "crm2", 2), ("b", "crm2", 0), ("a", "crm3", 3),
    ] as [(String, String, UInt64)] {
      let allowed = (0...9).filter { bounds.allowsDelivery(delivery, of: name, at: $0) }
      #expect(allowed == Array(first...9), "\(delivery) \(name)")
    }
    // The mark of a credential covers those of its deliveries and of its keys.
    let all = ["credential.rekeyed", "credential.removed"].map { ($0, ["credential": "crm2"] as [String: JSONValue]) }
    let after = try Self.bounds(before + all)
    #expect(after.removed == ["crm2": 5, "crm3": 2, "crm": 3] && after.rekeyed == [:])
  }

  @Test func `a credential whose terms nobody bound is bound by a new key, and forgotten when it is removed`() throws {
    let added: (String, [String: JSONValue]) = ("credential.added", ["credential": "crm"])
    #expect(try Self.bounds([added]).unbound == ["crm"])
    for event in ["credential.rekeyed", "credential.removed"] {
      #expect(try Self.bounds([added, (event, ["credential": "crm"])]).unbound == [])
      #expect(try Self.bounds([added, (event, ["credential": "erp"])]).unbound == ["crm"])
    }
    let again: (String, [String: JSONValue]) = ("credential.added", ["credential": "crm", "terms": "t"])
    #expect(try Self.bounds([added, ("credential.removed", ["credential": "crm"]), again]).unbound == [])
  }

  @Test func `a transfer counts until it is withdrawn or the credential is removed`() throws {
    let sent: [String: JSONValue] = ["credential": "crm", "handoff": "h1", "transfer": true]
    #expect(try Self.bounds([("handoff.sent", sent)]).transferred == ["crm": "h1"])
    for event in ["handoff.withdrawn", "credential.removed"] {
      #expect(try Self.bounds([("handoff.sent", sent), (event, ["credential": "crm"])]).transferred == [:])
      #expect(try Self.bounds([("handoff.sent", sent), (event, ["credential": "erp"])]).transferred == ["crm": "h1"])
    }
    for transfer: JSONValue in [false, 1, "true"] {
      #expect(try Self.bounds([("handoff.sent", sent.merging(["transfer": transfer]) { $1 })]).transferred == [:])
    }
  }
}
