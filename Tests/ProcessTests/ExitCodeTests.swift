import Glibc
import Testing

@testable import relatch

@Suite("Exit codes are an interface")
struct ExitCodeTests {
  @Test func `the page documents every code in order, with the meaning the program has`() throws {
    let page = try contents(ofRepositoryFile: "docs/exit-codes.md")
    let rows = page.split(separator: "\n").compactMap { line -> [String]? in
      let cells = line.split(separator: "|").map { $0.trimmed }
      return line.hasPrefix("|") && cells.first.flatMap { Int32($0) } != nil ? cells : nil
    }
    #expect(rows.map { "\($0[0]) \($0[1])" } == ExitCode.allCases.map { "\($0.rawValue) \($0.meaning)" })
    for row in rows {
      #expect(row.count == 4 && row.allSatisfy { !$0.isEmpty }, "code \(row[0]) says what to do")
    }
  }

  @Test func `from 64 the numbers are those of sysexits`() {
    let codes: [(ExitCode, Int32)] = [
      (.usage, EX_USAGE), (.corruptData, EX_DATAERR), (.notFound, EX_NOINPUT), (.providerUnreachable, EX_UNAVAILABLE),
      (.internalError, EX_SOFTWARE), (.cannotWrite, EX_IOERR), (.heldByAnotherRun, EX_TEMPFAIL),
      (.notPermitted, EX_NOPERM), (.configuration, EX_CONFIG),
    ]
    for (code, number) in codes { #expect(code.rawValue == number) }
  }
}

/// The text of a file, given by its path from the top of the project.
func contents(ofRepositoryFile path: String) throws -> String {
  let top = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
  let file = try #require(fopen("\(top)/\(path)", "r"))
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65_536)
  while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
  return String(decoding: bytes, as: UTF8.self)
}

extension Substring {
  /// Without the spaces around it.
  var trimmed: String {
    var text = drop { $0 == " " }
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}
