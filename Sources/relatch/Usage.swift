/// How a verb is called, from the line that the parser prints with an error:
/// `USAGE: relatch read [--vault <dir>] … <name>`.
struct Usage {
  /// The verb's words and its required arguments; nil if the parser names no verb.
  private let call: [String]?

  init(in message: String) {
    let line = message.split(separator: "\n").first { $0.lowercased().hasPrefix("usage: relatch ") }
    call = line.map { Self.required($0.dropFirst("usage: ".count)) }
  }

  /// `words` without the options that are not required.
  private static func required(_ words: Substring) -> [String] {
    var found: [String] = []
    var depth = 0
    for word in words.split(separator: " ") {
      // An option and its value: `[--field <field>]`.
      if depth == 0, word.hasPrefix("[-") || word == "[<options>]" {
        depth = word.hasSuffix("]") ? 0 : 1
      } else if depth > 0 {
        depth = word.hasSuffix("]") ? 0 : 1
      } else {
        found.append(String(word))
      }
    }
    return found
  }

  /// What to write instead.
  var hint: String {
    guard let call, let arguments = call.firstIndex(where: { !"abcdefghijklmnopqrstuvwxyz".contains($0.prefix(1)) })
    else { return Self.general(call) }
    let verb = call[1..<arguments].joined(separator: " ")
    guard !verb.isEmpty, !verb.contains("subcommand") else { return Self.general(nil) }
    return "`\(call.joined(separator: " "))`; `relatch help \(verb)` says all that it takes"
  }

  private static func general(_ call: [String]?) -> String {
    guard let call, call.count > 1 else {
      return "`relatch help` lists the commands, `relatch help VERB` says what one takes"
    }
    return "`relatch help \(call.dropFirst().joined(separator: " "))` says what it takes"
  }
}
