/// The words of a command line in their plainest form: `--name value`, `--flag`, and words without a dash.
///
/// The parser takes 2 ms to learn all verbs and their help, half of what reading a pair takes. The verbs that scripts call over
/// and over are read by this where that is no question of taste; what it does not take, and all that is wrong, is the parser's.
struct PlainArguments {
  private(set) var words: [String] = []
  private(set) var values: [String: String] = [:]
  /// What the options of every verb say.
  private(set) var settings = CommonSettings()

  /// Takes `arguments` if each option is one of `options` or one of every verb's, with its dashes, stands once, and has a value
  /// that does not begin with a dash; nil if not. A passphrase's descriptor is left to the parser.
  init?(_ arguments: some Sequence<String>, options: [String]) {
    var flags: Set<String> = []
    var remaining = arguments.makeIterator()
    while let argument = remaining.next() {
      guard argument.utf8.first == UInt8(ascii: "-") else {
        guard !argument.isEmpty else { return nil }
        words.append(argument)
        continue
      }
      if ["--accept-rollback", "--json", "--quiet"].contains(argument) {
        guard flags.insert(argument).inserted else { return nil }
      } else {
        guard argument == "--vault" || argument == "--identity" || options.contains(argument),
          values[argument] == nil, let value = remaining.next(), !value.isEmpty, value.utf8.first != UInt8(ascii: "-")
        else { return nil }
        values[argument] = value
      }
    }
    settings.vault = values["--vault"]
    settings.identity = values["--identity"]
    settings.acceptRollback = flags.contains("--accept-rollback")
    settings.json = flags.contains("--json")
    settings.quiet = flags.contains("--quiet")
  }
}

/// A verb that can be called without the parser.
protocol PlainCommand: Sendable {
  /// What `arguments`, those after the verb, say, as the parser would take them; nil where that must be asked.
  init?(plain arguments: ArraySlice<String>)

  func run() async throws
}

extension Relatch {
  /// What `arguments`, without the program's name, ask for in plain words; nil where the parser must be asked.
  static func plainCommand(_ arguments: ArraySlice<String>) -> (any PlainCommand)? {
    switch arguments.first {
    case "read": PairReading(plain: arguments.dropFirst())
    case "list": CredentialListing(plain: arguments.dropFirst())
    default: nil
    }
  }
}
