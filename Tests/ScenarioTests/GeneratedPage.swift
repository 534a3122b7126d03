import Foundation
import Testing

/// A page of the project with a part that a test generates: that part is compared with what the test found.
/// `RELATCH_RECORD_VECTORS=1` writes it again, and fails once so that nobody records by accident.
struct GeneratedPage {
  private let file: URL
  private let text: String

  private static let isRecording = ProcessInfo.processInfo.environment["RELATCH_RECORD_VECTORS"] == "1"

  init(_ path: String) throws {
    file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../\(path)").standardized
    text = try String(contentsOf: file, encoding: .utf8)
  }

  /// Fails unless `found` is the text between the first `start` and the next `end`.
  func compare(_ found: String, between start: String, and end: String) throws {
    let from = try #require(text.range(of: start), "\(file.lastPathComponent) has no \(start)").upperBound
    let to = try #require(text.range(of: end, range: from..<text.endIndex), "\(start) has no \(end)").lowerBound
    if Self.isRecording {
      try text.replacingCharacters(in: from..<to, with: found).write(to: file, atomically: true, encoding: .utf8)
      Issue.record("\(file.lastPathComponent) was recorded: run again without RELATCH_RECORD_VECTORS")
    } else {
      #expect(
        String(text[from..<to]) == found, "\(file.lastPathComponent): RELATCH_RECORD_VECTORS=1 writes what was found")
    }
  }
}
