import JSON
import Rotation
import Vault

/// The checked settings of a credential that a program speaks for.
struct CommandSettings: Sendable {
  /// The program's path and its arguments; nil for a credential that is only used.
  let arguments: [String]?
  let replacement: Replacement
  let timeLimit: Duration
  /// The token endpoint that proves the pair; nil if the program proves it.
  let credentials: ClientCredentials?

  static let descriptor = ProviderDescriptor(
    id: "command",
    summary: "Any other system: a program of yours speaks for it, in JSON on standard input and output",
    settings: [
      .init("program", "the program's absolute path; each machine must allow it once", isRequiredToRotate: true),
      .init("arguments", #"its arguments, a JSON array of strings as in ["--project","crm"]; never a secret"#),
      .init(
        "replacement",
        "what becomes of the old pair: overlap, promotion or cut-over; the program must say the same",
        isRequiredToRotate: true, isOfUse: true),
      .init("time-limit", "how long one operation may take, 1s to 90s; 1m if absent", isOfUse: true),
      .init("token-url", "the token endpoint that proves a pair; the program proves it if absent", isOfUse: true),
      ClientCredentials.authenticationSetting, ClientCredentials.scopeSetting,
    ],
    life: .init(
      [.overlap, .promotion, .cutOver], secretsAtOnce: nil, changesClientID: nil,
      oldPair: "until the program has deleted it; with cut-over, only until the new one is made",
      lostAnswer:
        "the program is asked which pairs there are; a request to make a pair has a key, and the same key never makes a second one"
    ),
    administrator: "the credential whose pair the program gets to work with; or itself, but not with cut-over",
    documents: [
      .init("RFC 8259, JSON", "https://www.rfc-editor.org/rfc/rfc8259"),
      .init("sysexits.h(3head)", "https://man7.org/linux/man-pages/man3/sysexits.h.3head.html"),
      .init("RFC 6749, section 4.4, Client Credentials Grant", "https://www.rfc-editor.org/rfc/rfc6749#section-4.4"),
    ])

  /// A lease lasts five minutes, and so outlasts three operations with no entry between them.
  private static let timeLimits = Duration.seconds(1)...Duration.seconds(90)

  init(_ settings: [String: String]) throws(ProviderError) {
    try Self.descriptor.checkKeys(settings)
    replacement = try Self.replacement(settings)
    arguments = try Self.arguments(settings)
    let limit = settings["time-limit"] ?? "1m"
    guard let timeLimit = Policy.duration(limit), Self.timeLimits.contains(timeLimit) else {
      throw ProviderError(
        .configuration, "setting time-limit: \(Name.printable(limit)): expected 1s to 90s",
        hint: "write, for example, 90s")
    }
    self.timeLimit = timeLimit
    credentials = try settings["token-url"] == nil ? nil : ClientCredentials(settings)
  }

  private static func replacement(_ settings: [String: String]) throws(ProviderError) -> Replacement {
    guard let word = settings["replacement"] else {
      guard settings["program"] == nil else {
        throw ProviderError(
          .configuration, "setting replacement is missing",
          hint: "say what becomes of the old pair: replacement=overlap, promotion or cut-over")
      }
      return .overlap
    }
    guard let replacement = Replacement(rawValue: word) else {
      throw ProviderError(
        .configuration, "setting replacement: \(Name.printable(word)) is not overlap, promotion or cut-over")
    }
    return replacement
  }

  private static func arguments(_ settings: [String: String]) throws(ProviderError) -> [String]? {
    let text = settings["arguments"] ?? "[]"
    guard case .array(let values)? = try? JSONValue(reading: Array(text.utf8)) else {
      throw ProviderError(
        .configuration, "setting arguments: expected a JSON array of strings",
        hint: #"write it as in arguments='["--project","crm"]'"#)
    }
    var words: [String] = []
    for value in values {
      guard case .string(let word) = value else {
        throw ProviderError(.configuration, "setting arguments: expected only strings")
      }
      words.append(word)
    }
    guard let program = settings["program"] else { return nil }
    guard program.hasPrefix("/"), !program.hasSuffix("/") else {
      throw ProviderError(
        .configuration,
        "setting program: \(Name.printable(program))"
          + " \(program.hasPrefix("/") ? "is a folder" : "is not an absolute path")",
        hint: "give the program's absolute path: program=/…")
    }
    let arguments = [program] + words
    guard arguments.count <= 64, arguments.reduce(0, { $0 + $1.utf8.count }) <= 16_384,
      arguments.allSatisfy({ !$0.utf8.contains(0) })
    else {
      throw ProviderError(
        .configuration,
        "settings program and arguments: expected at most 63 arguments, 16,384 bytes in all, no zero byte")
    }
    return arguments
  }
}
