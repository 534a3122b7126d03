/// Rows in columns that line up, for people.
struct Table {
  private let rows: [[String]]

  init(_ header: [String], _ rows: [[String]]) { self.rows = [header] + rows }

  /// One row a line, without spaces at the ends of lines.
  var text: String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      let cells = row.indices.map { column in
        column == row.count - 1 ? row[column] : row[column].padded(to: widths[column])
      }
      return cells.joined(separator: "  ")
    }.joined(separator: "\n")
  }
}

extension String {
  /// With spaces at its end, so that it is at least `width` characters long.
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
