import Contracts
import Glibc
import Testing

@testable import relatch

@Suite("What people see on a terminal")
struct TerminalTests {
  @Test("columns line up, and no line ends in a space")
  func table() {
    let table = Table(["OUTCOME", "CREDENTIALS"], [["promoted", "12"], ["failed", "1"]])
    #expect(table.text == "OUTCOME   CREDENTIALS\npromoted  12\nfailed    1")
  }

  @Test("the bar shows its progress, and is never wider than the terminal")
  func bar() {
    #expect(ProgressBar.line(0, of: 3, failed: 0, "", 80) == "[--------------------] 0/3")
    #expect(
      ProgressBar.line(2, of: 4, failed: 1, "crm  version 2 is staged", 80)
        == "[##########----------] 2/4  1 failed  crm  version 2 is staged")
    for width in [0, 1, 10, 30] {
      #expect(ProgressBar.line(2, of: 4, failed: 1, "crm  version 2 is staged", width).count <= max(0, width - 1))
    }
  }

  @Test("the bar is gone when the runs have ended, and does not return with later output")
  func ended() async {
    await #expect(processExitsWith: .success) {
      let terminal = try PseudoTerminal()
      setenv("TERM", "xterm", 1)
      let stream = StandardStream(descriptor: open(terminal.path, O_RDWR | O_NOCTTY), name: "a terminal")
      let bar = try #require(ProgressBar(total: 1, on: stream))
      bar.count(failed: false)
      bar.end()
      for line in ["OUTCOME", "last"] { try bar.aside { try stream.write(line + "\n") } }
      bar.note("late")
      let shown = terminal.screen(until: "last\r\n") + terminal.rest()
      #expect(shown.contains("1/1") && shown.hasSuffix("\r\u{1B}[KOUTCOME\r\nlast\r\n"), "\(shown.debugDescription)")
    }
  }

  @Test("the bar is not shown where there is no terminal")
  func noTerminal() {
    #expect(ProgressBar(total: 5, on: StandardStream(descriptor: -1, name: "nothing")) == nil)
  }
}
