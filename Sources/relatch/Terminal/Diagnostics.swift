import Vault

/// The lines for people on standard error: `relatch: error: …`, `relatch: hint: …`, `relatch: warning: …`.
struct Diagnostics: Sendable {
  static let standard = Diagnostics(stream: .error)

  let stream: StandardStream

  /// What was attempted, what was found, what was expected.
  func error(_ message: String) { line("error", .error, color: 31, message) }

  /// What to do about the error before it.
  func hint(_ message: String) { line("hint", .notice, color: 36, message) }

  /// What a person should know of a run that goes on.
  func warning(_ message: String) { line("warning", .warning, color: 33, message) }

  /// If standard error refuses the line, that is dropped: it cannot be reported anywhere else, and the exit code says
  /// the rest.
  private func line(_ label: String, _ severity: Severity, color: Int, _ message: String) {
    let shown = stream.hasColor ? "\u{1B}[1;\(color)m\(label):\u{1B}[0m" : "\(label):"
    try? stream.write("\(JournalStream.prefix(severity))relatch: \(shown) \(Self.printable(message))\n")
  }

  /// `text` with control characters written out: names and paths come from files and servers, and must neither steer
  /// the terminal nor begin a line that looks like Relatch's own.
  static func printable(_ text: String) -> String { printable(text, keepingLines: false) }

  /// The same for lines that are Relatch's own, and of which only the content may come from elsewhere.
  static func printableLines(_ text: String) -> String { printable(text, keepingLines: true) }

  private static func printable(_ text: String, keepingLines: Bool) -> String {
    // Almost all text is plain, and a list may be long.
    if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) || keepingLines && $0 == 0x0A }) { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      if VisibleText.hides(scalar), !keepingLines || scalar != "\n" {
        result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
