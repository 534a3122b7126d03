/// The words of a command line in their plainest form: `--name value`, `--flag`, and words without a dash.
///
/// The parser takes 2 ms to learn all verbs and their help, half of what reading a pair takes. So this reads the verbs
/// that scripts call again and again, where their words have only one meaning. What it does not take, and everything
/// that is wrong, is left to the parser.
struct PlainArguments {
  private(set) var words: [String] = []
  private var values: [(name: String, value: String)] = []
  /// The values of the options that every verb has.
  private(set) var settings = CommonSettings()

  /// Takes `arguments` if every option is in `options` (with its dashes) or one that every verb has, occurs once and,
  /// unless it is a flag, has a value that does not begin with a dash; otherwise nil. A passphrase's descriptor is left
  /// to the parser.
  init?(_ arguments: some Sequence<String>, options: [String]) {
    var flags: [String] = []
    var remaining = arguments.makeIterator()
    while let argument = remaining.next() {
      guard argument.utf8.first == UInt8(ascii: "-") else {
        guard !argument.isEmpty else { return nil }
        words.append(argument)
        continue
      }
      if ["--accept-rollback", "--json", "--quiet"].contains(argument) {
        guard !flags.contains(argument) else { return nil }
        flags.append(argument)
      } else {
        guard argument == "--vault" || argument == "--identity" || options.contains(argument),
          value(of: argument) == nil, let value = remaining.next(), !value.isEmpty,
          value.utf8.first != UInt8(ascii: "-")
        else { return nil }
        values.append((argument, value))
      }
    }
    settings.vault = value(of: "--vault")
    settings.identity = value(of: "--identity")
    settings.acceptRollback = flags.contains("--accept-rollback")
    settings.json = flags.contains("--json")
    settings.quiet = flags.contains("--quiet")
  }

  /// The value of the option `name`, which includes its dashes; nil if it was not given.
  func value(of name: String) -> String? { values.first { $0.name == name }?.value }
}

/// A verb that can be called without the parser.
protocol PlainCommand: Sendable {
  /// Reads `arguments`, the words after the verb, as the parser would; nil if the parser must read them.
  init?(plain arguments: ArraySlice<String>)

  func run() async throws
}

extension Relatch {
  /// The command that `arguments`, without the program's name, ask for in plain words; nil if the parser must read
  /// them.
  static func plainCommand(_ arguments: ArraySlice<String>) -> (any PlainCommand)? {
    switch arguments.first {
    case "read": PairReading(plain: arguments.dropFirst())
    case "list": CredentialListing(plain: arguments.dropFirst())
    default: nil
    }
  }
}
