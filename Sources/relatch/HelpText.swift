/// Parts of help texts, in lines that fit an ordinary terminal: the parser breaks longer lines and goes on at the left
/// margin.
enum HelpText {
  private static let width = 80

  /// Each word in one column, with its meaning beside it.
  static func columns(_ rows: [(word: String, meaning: String)]) -> String {
    let column = 2 + (rows.map(\.word.count).max() ?? 0) + 2
    let blank = String(repeating: " ", count: column)
    return rows.map { row in
      "  \(row.word)".padded(to: column)
        + lines(row.meaning, width - 1 - column).joined(separator: "\n" + blank)
    }.joined(separator: "\n")
  }

  /// Commands as they are typed.
  static func examples(_ commands: String...) -> String {
    "EXAMPLES\n" + commands.map { "  \($0)" }.joined(separator: "\n")
  }

  /// `text` in lines of at most `width`, broken at spaces.
  private static func lines(_ text: String, _ width: Int) -> [String] {
    var lines: [String] = []
    for word in text.split(separator: " ") {
      if let last = lines.last, last.count + 1 + word.count <= width {
        lines[lines.count - 1] = "\(last) \(word)"
      } else {
        lines.append(String(word))
      }
    }
    return lines
  }
}
