import Audit
import JSON

/// What a command says: results on standard output, everything else on standard error; or one JSON object a line.
struct Report: Sendable {
  let isJSON: Bool
  let isQuiet: Bool

  init(_ options: CommonOptions) {
    isJSON = options.json
    isQuiet = options.quiet
  }

  /// For failures before the options are known: the arguments as they came.
  init(arguments: [String]) {
    let ours = arguments.prefix { $0 != "--" }
    isJSON = ours.contains("--json")
    isQuiet = ours.contains("--quiet")
  }

  /// One result, in the form asked for.
  func result(_ object: @autoclosure () -> JSONValue, text: @autoclosure () -> String) {
    self.text(isJSON ? object().canonicalText : text())
  }

  /// A line on standard output.
  func text(_ line: String) { StandardStreams.writeOutput(line + "\n") }

  /// One step on the way: a line on standard error for people, an object on standard output for programs.
  func progress(_ object: @autoclosure () -> JSONValue, text: @autoclosure () -> String) {
    if isJSON { return self.text(object().canonicalText) }
    if !isQuiet { StandardStreams.writeError(text() + "\n") }
  }

  /// Something the caller should know that stops nothing.
  func warning(_ message: String) {
    StandardStreams.writeError("relatch: warning: \(message)\n")
  }

  func failure(_ failure: Failure) {
    if isJSON {
      var members: [String: JSONValue] = [
        "code": .integer(Int(failure.code.rawValue)), "error": .string(failure.message), "type": "error",
      ]
      if let hint = failure.hint { members["hint"] = .string(hint) }
      text(JSONValue.object(members).canonicalText)
      return
    }
    StandardStreams.writeError("relatch: error: \(failure.message)\n")
    if let hint = failure.hint { StandardStreams.writeError("relatch: hint: \(hint)\n") }
  }
}
