import ArgumentParser
import Vault

/// What a refused command line was about: which verb it names, and what may have been meant.
struct MistakenArguments {
  /// The verbs that were recognised, as in `log`, `witness`, `add`; empty for the program itself.
  let verbs: [String]
  /// The first word that should be a verb and is not; nil if there is no such word.
  private let unknown: String?
  /// The verbs that are valid in its place.
  private let known: [String]
  private let rest: [String]

  /// `arguments` are the words after the program's name.
  init(_ arguments: [String]) {
    let words = arguments.first == "help" ? Array(arguments.dropFirst()) : arguments
    var found: [String] = []
    var configuration = Relatch.configuration
    var names = configuration.subcommands.compactMap { $0.configuration.commandName }
    while found.count < words.count, let index = names.firstIndex(of: words[found.count]) {
      configuration = configuration.subcommands[index].configuration
      names = configuration.subcommands.compactMap { $0.configuration.commandName }
      found.append(words[found.count])
    }
    verbs = found
    known = names
    rest = Array(words.dropFirst(found.count))
    unknown = names.isEmpty ? nil : rest.first.flatMap { $0.hasPrefix("-") ? nil : $0 }
  }

  /// Says where to read what the verb takes.
  var help: String {
    verbs.isEmpty
      ? "`relatch help` lists the commands" : "`relatch help \(verbs.joined(separator: " "))` says what it takes"
  }

  /// The failure for a word that should be a verb and is not; nil if there is none.
  var unknownVerb: Failure? {
    guard let unknown else { return nil }
    let path = (["relatch"] + verbs).joined(separator: " ")
    let near = known.filter { unknown.isNear($0) }.min { unknown.distance(to: $0) < unknown.distance(to: $1) }
    let meant = near.map { "did you mean `\(path) \($0)`? " } ?? ""
    return Failure(
      .usage, "\(path) has no command \(Name.printable(unknown))",
      hint: meant + (verbs.isEmpty ? help : "it has \(known.joined(separator: ", "))"))
  }

  /// The failure for a word such as `-check`, in which the parser finds `-h`; nil if help was asked for in another word.
  var unmeantHelp: Failure? {
    let words = rest.prefix { $0 != "--" }
    guard words.allSatisfy({ !["-h", "--help", "help"].contains($0) }),
      let word = words.first(where: { $0.hasPrefix("-") && !$0.hasPrefix("--") && $0.contains("h") })
    else { return nil }
    return Failure(
      .usage, "unknown option \(Name.printable(word))",
      hint: "put two dashes before an option of several letters; \(help)")
  }

  /// The failure for `--version` after a verb, where a pair's version may be meant; nil if there is no verb.
  private var versionOfVerb: Failure? {
    guard !verbs.isEmpty else { return nil }
    let verb = (["relatch"] + verbs).joined(separator: " ")
    return Failure(
      .usage, "\(verb) has no option --version", hint: "`relatch --version` prints the program's; \(help)")
  }

  /// The failure for the parser's `message`, with a better hint where this type knows more of the program than the
  /// parser; otherwise with `hint`.
  func failure(_ message: String, hint: String) -> Failure {
    if let unknownVerb { return unknownVerb }
    if message.hasPrefix("Unknown option '--version'"), let versionOfVerb { return versionOfVerb }
    if verbs.isEmpty, let first = rest.first, first.hasPrefix("-") {
      if first.hasPrefix("--generate-completion-script") {
        return Failure(
          .usage, "there is no completion script for this shell", hint: "name one of bash, zsh and fish")
      }
      return Failure(
        .usage, Self.droppingFarGuess(message),
        hint: "put options after the command, as in `relatch status \(first) …`; \(help)")
    }
    let takesProgram = [["hook", "add"], ["log", "witness", "add"]].contains(verbs)
    let isOfWords = message.hasPrefix("Unexpected argument") || message.contains("unexpected arguments")
    if takesProgram, isOfWords, !rest.contains("--") {
      return Failure(.usage, message, hint: "put -- before the program and its arguments; \(help)")
    }
    return Failure(.usage, Self.droppingFarGuess(message), hint: hint)
  }

  /// Drops the parser's guess if it is too far off: the parser offers the option with the fewest differences, however
  /// many those are.
  private static func droppingFarGuess(_ message: String) -> String {
    let parts = message.split(separator: "'", omittingEmptySubsequences: false)
    // Unknown option 'ONE'. Did you mean 'OTHER'?
    guard parts.count == 5, parts[0] == "Unknown option ", parts[2].hasSuffix("Did you mean ") else { return message }
    return String(parts[1]).isNear(String(parts[3])) ? message : "Unknown option '\(parts[1])'"
  }
}

extension String {
  /// Whether it may be a typing error for `other`.
  fileprivate func isNear(_ other: String) -> Bool { distance(to: other) <= (other.count < 5 ? 1 : 2) }

  /// How many letters must be inserted, deleted, changed or swapped with the next one to turn it into `other`.
  fileprivate func distance(to other: String) -> Int {
    let (own, others) = (Array(utf8), Array(other.utf8))
    guard own.count <= 64, others.count <= 64 else { return .max }
    var rows = [Array(0...others.count)]
    for (i, byte) in own.enumerated() {
      var row = [i + 1]
      for (j, wanted) in others.enumerated() {
        var least = Swift.min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (byte == wanted ? 0 : 1))
        if i > 0, j > 0, byte == others[j - 1], own[i - 1] == wanted {
          least = Swift.min(least, rows[i - 1][j - 1] + 1)
        }
        row.append(least)
      }
      rows.append(row)
    }
    return rows[own.count][others.count]
  }
}
