import FoundationEssentials
import Rotation
import Testing

/// The tables of docs/rotation.md.
struct TransitionTable {
  private let transitions: [String: String]
  let rows: Int
  let actions: [RotationState: String]

  init() throws {
    let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/rotation.md")
    let text = String(decoding: try Data(contentsOf: path), as: UTF8.self)
    var transitions: [String: String] = [:]
    var actions: [RotationState: String] = [:]
    var rows = 0
    for line in try Self.section("Transitions", of: text) {
      try #require(line.count == 3, "\(line)")
      transitions["\(line[0]) \(line[1])"] = line[2]
      rows += 1
    }
    for line in try Self.section("States", of: text) {
      actions[try #require(RotationState(rawValue: line[0]), "\(line)")] = line[2]
    }
    self.transitions = transitions
    self.actions = actions
    self.rows = rows
  }

  /// The state after `event` as documented, or nil.
  func after(_ event: RotationEvent, in state: RotationState) -> String? {
    transitions["\(state.rawValue) \(event.name)"]
  }

  /// The rows of the first table below a heading, without the table's head.
  private static func section(_ title: String, of text: String) throws -> [[String]] {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let start = try #require(lines.firstIndex { $0 == "## \(title)" })
    return lines[start...].drop { !$0.hasPrefix("|") }.prefix { $0.hasPrefix("|") }.dropFirst(2).map { line in
      line.split(separator: "|").map { cell in
        String(cell.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()).replacing("`", with: "")
      }
    }
  }
}
