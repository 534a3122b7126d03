import Audit
import Foundation
import JSON
import Testing

@testable import relatch

@Suite("An exported log entry")
struct ExportedEntryTests {
  @Test func `puts nothing of a member's name where a name of RFC 5424 is expected`() throws {
    let details: [String: JSONValue] = [
      "x\n<81>1 - evil": "1", "\"] ": "2", "a=b": "3", "é": "4", "": "5", String(repeating: "n", count: 40): "6",
      "plain-name.7": "7",
    ]
    let entry = try LogEntry(
      time: Timestamp(milliseconds: 1_779_000_000_050), member: "bo", event: "pair.read", details: details)
    let line = ExportedEntry(entry: entry, index: 3, vault: "v").line(.rfc5424)
    let data = try #require(line.split(separator: "[relatch@32473 ").last)
    #expect(line.unicodeScalars.allSatisfy { (32...126).contains($0.value) })
    let names = data.dropLast().split(separator: " ").map { $0.split(separator: "=")[0] }
    #expect(
      Set(names.map(String.init)) == [
        "vault", "entry", "member", "x_<81>1_-_evil", "___", "a_b", "_", "x2-_", String(repeating: "n", count: 32),
        "plain-name.7",
      ])
    #expect(names.allSatisfy { (1...32).contains($0.utf8.count) && !$0.contains("]") && !$0.contains("\"") })
  }

  @Test func `gives no name of its own a second time`() throws {
    let entry = try LogEntry(
      time: Timestamp(milliseconds: 0), member: "ana", event: "pair.read",
      details: ["a b": "1", "a_b": "2", "credential": "crm", "entry": "7", "vault": "another"])
    let line = ExportedEntry(entry: entry, index: 3, vault: "v").line(.rfc5424)
    for text in [
      #" vault="v" entry="3" member="ana" credential="crm" "#, #" a_b="1""#, #" x2-a_b="2""#, #" x2-entry="7""#,
      #" x2-vault="another""#,
    ] { #expect(line.contains(text), "\(line)") }
    #expect(line.components(separatedBy: " vault=").count == 2 && line.components(separatedBy: " entry=").count == 2)
  }
}
