import FoundationEssentials
import Rotation
import Testing

@Suite("The model in vault/model")
struct ModelTests {
  /// One line `T(state, event, next)` of the model.
  struct Line: Hashable {
    let state: String
    let event: String
    let next: String
  }

  /// The lines of the model's table, in its order; event names as in docs/rotation.md.
  static func lines() throws -> [Line] {
    let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../vault/model/rotation.pml")
    let text = String(decoding: try Data(contentsOf: path), as: UTF8.self)
    return try text.split(separator: "\n").filter { $0.hasPrefix("  T(") }.map { line in
      let match = try #require(line.wholeMatch(of: #/  T\((\w+), (\w+), (\w+)\)/#), "\(line)")
      return Line(
        state: String(match.1), event: String(match.2).replacing("_", with: "."), next: String(match.3))
    }
  }

  /// Every legal cell of the engine.
  static let cells = RotationState.allCases.flatMap { state in
    RotationEvent.all.compactMap { event in
      state.after(event).map { Line(state: state.rawValue, event: event.name, next: $0.rawValue) }
    }
  }

  @Test("accepts in each state what the engine accepts, moves where it moves, and accepts nothing else")
  func transitions() throws {
    let lines = try Self.lines()
    let model = Set(lines)
    #expect(model.count == lines.count, "a line stands there twice")
    #expect(model.subtracting(Self.cells) == [], "the engine does not do this")
    #expect(Set(Self.cells).subtracting(model) == [], "the model does not do this")
  }
}
