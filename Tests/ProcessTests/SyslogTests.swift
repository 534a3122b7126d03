import Audit
import Glibc
import Testing

@testable import relatch

@Suite("Messages for syslog (RFC 5424)")
struct SyslogTests {
  private func message(
    _ text: String = "done", _ parameters: [(name: String, value: String)] = [], host: String = "db1",
    event: String = "promoted", severity: Severity = .notice
  ) -> String {
    String(
      decoding: SyslogMessage(
        severity: severity, time: Timestamp(milliseconds: 1_779_000_000_050), host: host, process: 42, event: event,
        parameters: parameters, text: text
      ).bytes, as: UTF8.self)
  }

  @Test func `a message has header, structured data and text`() {
    let parameters = [(name: "credential", value: "crm/prod"), (name: "version", value: "2")]
    #expect(
      message("crm/prod: version 2 is active", parameters)
        == "<85>1 2026-05-17T06:40:00.050Z db1 relatch 42 promoted"
        + #" [relatch@32473 credential="crm/prod" version="2"] crm/prod: version 2 is active"#)
    #expect(message(severity: .error).hasPrefix("<83>1 "))
  }

  @Test func `the three characters are escaped in values, and control characters in both`() {
    #expect(message("done", [(name: "credential", value: #"a"b\c]d["#)]).contains(#"credential="a\"b\\c\]d[""#))
    let forged = message("x\n<80>1 - - - - - -\u{1B}[2J", [(name: "credential", value: "a\nb")])
    #expect(forged.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F })
    #expect(forged.contains(#"credential="a\\u{A}b""#) && forged.hasSuffix(#"x\u{A}<80>1 - - - - - -\u{1B}[2J"#))
  }

  @Test func `only text that is not ASCII begins with a byte order mark`() {
    #expect(!message("plain").utf8.contains(0xEF))
    #expect(message("größer").hasSuffix("] \u{FEFF}größer"))
  }

  @Test func `a header field is one word of ASCII`() {
    #expect(message(host: "a b\u{1B}ü", event: "").contains("Z ab relatch 42 - [relatch@32473] done"))
    #expect(message(event: String(repeating: "e", count: 40)).contains(" " + String(repeating: "e", count: 32) + " ["))
  }

  @Test func `a long message is cut between two characters`() {
    for length in 1900...1960 {
      let bytes = SyslogMessage(
        severity: .notice, time: Timestamp(milliseconds: 0), host: "h", process: 1, event: "e", parameters: [],
        text: String(repeating: "x", count: length) + String(repeating: "ü", count: 100)
      ).bytes
      #expect(bytes.count <= 2048 && bytes.count >= 2047)
      #expect(String(validating: bytes, as: UTF8.self) != nil)
    }
  }

  @Test(arguments: [
    ("/dev/log", SyslogAddress.socket(path: "/dev/log")),
    ("udp://127.0.0.1:5514", .udp(host: "127.0.0.1", port: "5514")),
    ("udp://10.0.0.1", .udp(host: "10.0.0.1", port: "514")), ("udp://[::1]:5514", .udp(host: "::1", port: "5514")),
    ("udp://[::1]", .udp(host: "::1", port: "514")),
  ])
  func `addresses that are taken`(text: String, address: SyslogAddress) throws {
    #expect(try SyslogAddress(text) == address)
  }

  @Test(arguments: [
    "", "log", "udp://", "udp://localhost:514", "udp://127.0.0.1:0", "udp://127.0.0.1:65536", "udp://127.0.0.1:x",
    "udp://127.0.0.1:1:2", "udp://[::1", "udp://[::1]x", "udp://::1", "tcp://127.0.0.1:514",
    "/" + String(repeating: "x", count: 108),
  ])
  func `addresses that are refused`(text: String) {
    #expect(throws: Failure.self) { try SyslogAddress(text) }
  }

  @Test func `the journal is told by device and inode`() {
    #expect(JournalStream.names("9:41337", device: 9, inode: 41337))
    for other in ["9:41338", "8:41337", "9:41337 ", "", "9"] {
      #expect(!JournalStream.names(other, device: 9, inode: 41337), "\(other)")
    }
  }
}
