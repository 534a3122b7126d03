import JSON
import Rotation
import Vault

extension Report {
  /// Prints the checklist of one credential.
  func checklist(
    _ lines: [ChecklistLine], of credential: Credential, isOffline: Bool
  ) throws(StreamError) {
    let page = ChecklistPage(lines: lines, credential: credential)
    let isQuiet = isQuiet
    try result(page.object(isOffline: isOffline), text: page.text(on: .output, isQuiet: isQuiet))
  }
}

/// How a checklist is shown.
struct ChecklistPage {
  let lines: [ChecklistLine]
  let credential: Credential

  private func count(_ verdict: ChecklistLine.Verdict) -> Int { lines.count { $0.verdict == verdict } }

  func object(isOffline: Bool) -> JSONValue {
    .object([
      "credential": .string(credential.name), "lines": .array(lines.map(\.json)),
      "missing": .array(lines.filter { $0.verdict == .missing }.map { .string($0.step.word) }),
      "offline": .bool(isOffline), "provider": .string(credential.provider), "type": "checklist",
    ])
  }

  // MARK: - For a person

  /// Successive lines that cannot be told because of the same line are shown as one row.
  private struct Row {
    let verdict: ChecklistLine.Verdict
    var steps: [String]
    let text: String
    let fix: String?
  }

  private var rows: [Row] {
    var rows: [Row] = []
    for line in lines {
      if line.because != nil, let last = rows.last, last.verdict == .cannotTell, last.text == line.text {
        rows[rows.count - 1].steps.append(line.step.word)
      } else {
        rows.append(Row(verdict: line.verdict, steps: [line.step.word], text: line.text, fix: line.fix))
      }
    }
    return rows
  }

  private var head: String {
    let (missing, unknown) = (count(.missing), count(.cannotTell))
    var parts: [String] = []
    if missing > 0 { parts.append("\(missing) of \(lines.count) steps missing") }
    if unknown > 0 {
      parts.append(missing > 0 ? "\(unknown) cannot be told" : "\(unknown) of \(lines.count) steps cannot be told")
    }
    let standing = parts.isEmpty ? "all \(lines.count) steps are done" : parts.joined(separator: ", ")
    let use = credential.canRotate ? "" : ", only used"
    return "\(credential.name) (\(credential.provider)\(use)): \(standing)"
  }

  /// A table of marks, steps and findings, with the fix for a step below it.
  func text(on stream: StandardStream, isQuiet: Bool) -> String {
    let shown = rows.filter { !isQuiet || $0.verdict == .missing }
    let width = shown.filter { $0.steps.count == 1 }.map { $0.steps[0].count }.max() ?? 0
    let markWidth = shown.map { $0.verdict.mark.count }.max() ?? 0
    let margin = 2 + markWidth + 2
    let column = margin + width + 2
    let columns = stream.isTerminal ? stream.columns : nil
    var text = [head]
    for row in shown {
      let mark = row.verdict.mark(coloured: stream.hasColor, width: markWidth)
      let steps = row.steps.joined(separator: ", ")
      if row.steps.count == 1 {
        let body = Self.wrapped(Diagnostics.printable(row.text), indent: column, columns)
        text.append("  \(mark)  \(steps.padded(to: width))  \(body)")
      } else {
        text.append(
          "  \(mark)  " + Self.wrapped("\(steps): \(Diagnostics.printable(row.text))", indent: margin, columns))
      }
      guard let fix = row.fix else { continue }
      let indent = String(repeating: " ", count: column)
      text.append(indent + "-> " + Self.wrapped(Diagnostics.printable(fix), indent: column + 3, columns))
    }
    return text.joined(separator: "\n")
  }

  /// `text` broken at spaces, so that no line reaches the end of the terminal.
  static func wrapped(_ text: String, indent: Int, _ columns: Int?) -> String {
    guard let columns, columns > indent + 20 else { return text }
    var lines = [""]
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
      let last = lines[lines.count - 1]
      if last.isEmpty {
        lines[lines.count - 1] = String(word)
      } else if indent + last.count + 1 + word.count < columns {
        lines[lines.count - 1] = "\(last) \(word)"
      } else {
        lines.append(String(word))
      }
    }
    return lines.joined(separator: "\n" + String(repeating: " ", count: indent))
  }
}

extension ChecklistLine.Verdict {
  fileprivate var mark: String {
    switch self {
    case .ok: "ok"
    case .missing: "missing"
    case .cannotTell: "cannot tell"
    }
  }

  fileprivate func mark(coloured: Bool, width: Int) -> String {
    let padded = mark.padded(to: width)
    guard coloured else { return padded }
    let colour =
      switch self {
      case .ok: 32
      case .missing: 31
      case .cannotTell: 33
      }
    return "\u{1B}[1;\(colour)m\(mark)\u{1B}[0m\(padded.dropFirst(mark.count))"
  }
}

extension ChecklistLine {
  fileprivate var json: JSONValue {
    var members: [String: JSONValue] = [
      "line": .string(step.word), "text": .string(text), "verdict": .string(verdict.rawValue),
    ]
    if let fix { members["fix"] = .string(fix) }
    if let because { members["because"] = .string(because.word) }
    return .object(members)
  }
}
