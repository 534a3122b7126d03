import Audit
import JSON
import Vault

/// What a command says: results on standard output, everything else on standard error; or one JSON object a line.
struct Report: Sendable {
  let isJSON: Bool
  let isQuiet: Bool
  /// Shown while many runs are under way.
  private(set) var bar: ProgressBar?
  /// Whether people see each step.
  private var hasSteps = true
  /// Where outcomes and failures also go.
  let syslog: SyslogSink?

  init(_ options: CommonOptions, syslog: SyslogSink? = nil) { self.init(options.settings, syslog: syslog) }

  init(_ settings: CommonSettings, syslog: SyslogSink? = nil) {
    isJSON = settings.json
    isQuiet = settings.quiet
    self.syslog = syslog
  }

  /// The report for `runs` runs: with several, people see the end of each one instead of each step.
  func of(runs: Int) -> Report {
    guard runs > 1, !isJSON else { return self }
    var report = self
    report.hasSteps = false
    report.bar = isQuiet ? nil : ProgressBar(total: runs)
    return report
  }

  /// For failures before the options are known: takes the raw arguments.
  init(arguments: [String]) {
    let ours = arguments.prefix { $0 != "--" }
    isJSON = ours.contains("--json")
    isQuiet = ours.contains("--quiet")
    syslog = nil
  }

  /// Prints one result, in the form that the options ask for.
  func result(_ object: @autoclosure () -> JSONValue, text: @autoclosure () -> String) throws(StreamError) {
    try self.text(isJSON ? object().line : Diagnostics.printableLines(text()))
  }

  /// Prints many results at once, each in the form that the options ask for.
  func results<Element>(
    _ elements: [Element], json: (Element) -> JSONValue, text: (Element) -> String
  ) throws(StreamError) {
    guard !elements.isEmpty else { return }
    let lines = elements.map { isJSON ? json($0).line : text($0) }.joined(separator: "\n")
    try self.text(isJSON ? lines : Diagnostics.printableLines(lines))
  }

  /// Prints the outcome of a change: a result, unless a person asked for silence about what went well.
  func confirmation(_ object: @autoclosure () -> JSONValue, text: @autoclosure () -> String) throws(StreamError) {
    if isJSON || !isQuiet { try result(object(), text: text()) }
  }

  /// Prints a line on standard output.
  ///
  /// Throws `StreamError` if standard output did not take it: a result that nobody got is a failure.
  func text(_ line: String) throws(StreamError) {
    guard let bar else { return try StandardStream.output.write(line + "\n") }
    try bar.aside { () throws(StreamError) in try StandardStream.output.write(line + "\n") }
  }

  /// Prints one step: a line on standard error for people, an object on standard output for programs.
  func progress(_ object: @autoclosure () -> JSONValue, text: @autoclosure () -> String) {
    // The rotation goes on even if nobody reads this any more: its result says what came of it.
    if isQuiet { return }
    if isJSON {
      try? self.text(object().line)
    } else if hasSteps {
      let line = Diagnostics.printableLines(text())
      try? StandardStream.error.write("\(JournalStream.prefix(.informational))\(line)\n")
    } else {
      bar?.note(Diagnostics.printableLines(text()))
    }
  }

  /// Prints a line on standard error that only people need.
  func note(_ text: String) {
    guard !isJSON, !isQuiet else { return }
    let line = Diagnostics.printableLines(text)
    aside { try? StandardStream.error.write("\(JournalStream.prefix(.informational))\(line)\n") }
  }

  /// Reports a failure. `credential` is the one that failed, if a command has several.
  func failure(_ failure: Failure, of credential: String? = nil) {
    syslog?.failure(failure, of: credential)
    guard isJSON else { return words(of: failure) }
    var members: [String: JSONValue] = [
      "code": .integer(Int(failure.code.rawValue)), "error": .string(failure.quoting), "hint": .string(failure.hint),
      "type": "error",
    ]
    if let credential { members["credential"] = .string(credential) }
    // If standard output is full, the failure is still reported.
    do { try text(JSONValue.object(members).line) } catch { words(of: failure) }
  }

  private func words(of failure: Failure) {
    aside {
      Diagnostics.standard.error(failure.quoting)
      Diagnostics.standard.hint(failure.hint)
    }
  }

  private func aside(_ print: () -> Void) {
    if let bar { bar.aside(print) } else { print() }
  }
}

extension JSONValue {
  /// The value on one line, with invisible characters as escapes: it may go to a terminal, and still reads as the same
  /// value.
  var line: String {
    let text = canonicalText
    guard text.utf8.contains(where: { $0 >= 0x7F }) else { return text }
    // Only strings have such characters.
    var line = ""
    for scalar in text.unicodeScalars {
      if VisibleText.hides(scalar) {
        for unit in String(scalar).utf16 {
          let digits = String(unit, radix: 16)
          line += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
      } else {
        line.unicodeScalars.append(scalar)
      }
    }
    return line
  }
}
