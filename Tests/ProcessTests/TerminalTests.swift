import Testing

@testable import relatch

@Suite("What people see")
struct TerminalTests {
  @Test("columns line up, and no line ends in a space")
  func table() {
    let table = Table(["OUTCOME", "CREDENTIALS"], [["promoted", "12"], ["failed", "1"]])
    #expect(table.text == "OUTCOME   CREDENTIALS\npromoted  12\nfailed    1")
  }

  @Test("the bar says how far it is, and is never wider than the terminal")
  func bar() {
    #expect(ProgressBar.line(0, of: 3, failed: 0, "", 80) == "[--------------------] 0/3")
    #expect(
      ProgressBar.line(2, of: 4, failed: 1, "crm  version 2 is staged", 80)
        == "[##########----------] 2/4  1 failed  crm  version 2 is staged")
    for width in [0, 1, 10, 30] {
      #expect(ProgressBar.line(2, of: 4, failed: 1, "crm  version 2 is staged", width).count <= max(0, width - 1))
    }
  }

  @Test("nobody sees a bar where there is no terminal")
  func noTerminal() {
    #expect(ProgressBar(total: 5, on: StandardStream(descriptor: -1, name: "nothing")) == nil)
  }
}
