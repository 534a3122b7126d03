import Foundation

/// Figures in columns.
enum Table {
  private static let columns: [(name: String, width: Int)] = [
    ("", -34), ("N", 5), ("jobs", 5), ("wall s", 9), ("best", 8), ("rot/s", 8), ("calls", 7), ("ideal s", 9), ("/", 6),
    ("CPU s", 8), ("RSS", 7), ("syncs", 7), ("load", 6),
  ]

  static var heading: String { line(columns.map(\.name)) }

  static func row(_ result: Result) -> String {
    let contender = result.contender
    if let failure = result.failure { return "\(contender.name): FAILED: \(failure)" }
    let ideal = result.ideal
    let figures = line([
      contender.name, "\(contender.credentials)", "\(contender.jobs)",
      number(result.wall, 3), number(result.fastest, 3),
      number(Double(contender.credentials) / result.wall, 1), number(result.calls, 2),
      ideal > 0 ? number(ideal, 3) : "-", ideal > 0 ? number(result.wall / ideal, 2) : "-",
      number(result.median(\.usage.cpu), 3), number(result.median(\.usage.peak), 1),
      result.syncs.map(String.init) ?? "-", number(result.median(\.load) * 100, 0),
    ])
    let notes = [contender.target, result.wasBusy ? "(busy)" : ""].filter { !$0.isEmpty }
    return ([figures] + notes).joined(separator: "  ")
  }

  private static func line(_ cells: [String]) -> String {
    zip(columns, cells).map { column, cell in
      let space = String(repeating: " ", count: max(0, abs(column.width) - cell.count))
      return column.width < 0 ? cell + space : space + cell
    }.joined()
  }

  static func number(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
}
