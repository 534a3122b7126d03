package import JSON

/// What an owner decides about one sink or hook.
package struct DeliverySettings: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    case file(FileSettings)
    case hook(HookSettings)
  }

  /// Its name among those of the credential.
  package let name: String
  package let kind: Kind

  package init(name: String, kind: Kind) {
    self.name = name
    self.kind = kind
  }

  /// Whether it is handed every promoted pair; hooks that run before a rotation or after a failure are not.
  package var takesPair: Bool {
    switch kind {
    case .file: true
    case .hook(let hook): hook.occasion == .promoted
    }
  }

  /// `sink` or `hook`, for people.
  package var word: String {
    if case .file = kind { "sink" } else { "hook" }
  }

  /// Fails unless a credential can have these.
  package func check() throws(VaultError) {
    try Name.check(name, "name of the \(word)")
    switch kind {
    case .file(let file): try file.check()
    case .hook(let hook): try hook.check()
    }
  }

  var members: [String: JSONValue] {
    var members =
      switch kind {
      case .file(let file): file.members
      case .hook(let hook): hook.members
      }
    members["name"] = .string(name)
    return members
  }

  /// As the log has it.
  package var json: JSONValue { .object(members) }

  init(_ members: inout JSONMembers) throws {
    name = try members.string("name")
    let word = try members.string("kind")
    switch word {
    case "file": kind = .file(try FileSettings(&members))
    case "hook": kind = .hook(try HookSettings(&members))
    default: throw VaultError(.corrupt, "delivery \(Name.printable(name)) is of an unknown kind")
    }
    do { try check() } catch { throw VaultError(.corrupt, "\(error)") }
  }
}

/// A file that holds the pair.
package struct FileSettings: Hashable, Sendable {
  package enum Format: Hashable, Sendable {
    /// `{"client_id":"…","client_secret":"…"}`
    case json
    /// `PREFIX_CLIENT_ID=…` and `PREFIX_CLIENT_SECRET=…`, for shells and systemd.
    case dotenv(prefix: String)
    /// A file with `{{client_id}}`, `{{client_secret}}`, `{{name}}` and `{{version}}`, read at each delivery.
    case template(path: String)
  }

  /// Absolute.
  package let path: String
  package let format: Format
  /// What its owner and group may do; nobody else may do anything.
  package let mode: UInt32

  /// The template that it is made from, if there is one.
  package var template: String? {
    guard case .template(let path) = format else { return nil }
    return path
  }

  package init(path: String, format: Format, mode: UInt32 = 0o600) {
    self.path = path
    self.format = format
    self.mode = mode
  }

  func check() throws(VaultError) {
    try Self.check(path: path, "the file")
    guard mode & ~0o660 == 0, mode & 0o400 != 0 else {
      throw VaultError(
        .invalidInput,
        "mode \(String(mode, radix: 8)): expected one that lets the owner read, others do nothing, and nobody execute")
    }
    switch format {
    case .json: break
    case .dotenv(let prefix):
      let isName = prefix.utf8.allSatisfy { byte in
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == UInt8(ascii: "_")
      }
      guard isName, (1...64).contains(prefix.utf8.count), let first = prefix.utf8.first, !(48...57).contains(first)
      else {
        throw VaultError(
          .invalidInput,
          "prefix \(Name.printable(prefix)): expected 1 to 64 of A-Z a-z 0-9 _, not beginning with a digit")
      }
    case .template(let path): try Self.check(path: path, "the template")
    }
  }

  static func check(path: String, _ what: String) throws(VaultError) {
    guard path.hasPrefix("/"), !path.hasSuffix("/"), path.utf8.count <= Credential.maximumSettingSize,
      path.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }),
      !["..", "."].contains(path.split(separator: "/").last.map(String.init) ?? ".")
    else {
      throw VaultError(
        .invalidInput,
        "\(what) \(Name.printable(path)): expected an absolute path to a file, without control characters")
    }
  }

  var members: [String: JSONValue] {
    var members: [String: JSONValue] = [
      "kind": "file", "mode": .string(String(mode, radix: 8)), "path": .string(path),
    ]
    switch format {
    case .json: members["format"] = "json"
    case .dotenv(let prefix):
      members["format"] = "dotenv"
      members["prefix"] = .string(prefix)
    case .template(let path):
      members["format"] = "template"
      members["template"] = .string(path)
    }
    return members
  }

  init(_ members: inout JSONMembers) throws {
    path = try members.string("path")
    let text = try members.string("mode")
    guard let mode = UInt32(text, radix: 8), String(mode, radix: 8) == text else {
      throw VaultError(.corrupt, "the mode of a delivery is not octal")
    }
    self.mode = mode
    switch try members.string("format") {
    case "json": format = .json
    case "dotenv": format = .dotenv(prefix: try members.string("prefix"))
    case "template": format = .template(path: try members.string("template"))
    default: throw VaultError(.corrupt, "a delivery has an unknown format")
    }
  }
}

/// A program that is run at a step of a rotation.
package struct HookSettings: Hashable, Sendable {
  package enum Occasion: String, Sendable, CaseIterable {
    /// Before anything is asked of the provider; it may veto. No pair.
    case before
    /// A new pair is active and verified: it is on standard input.
    case promoted
    /// A run ended with an error. No pair.
    case failed
  }

  package let occasion: Occasion
  /// The program's absolute path and its arguments; no shell interprets them.
  package let arguments: [String]
  package let timeLimit: Duration

  package static let defaultTimeLimit = Duration.seconds(60)
  package static let maximumTimeLimit = Duration.seconds(3600)

  package init(occasion: Occasion, arguments: [String], timeLimit: Duration = defaultTimeLimit) {
    self.occasion = occasion
    self.arguments = arguments
    self.timeLimit = timeLimit
  }

  func check() throws(VaultError) {
    guard let program = arguments.first else { throw VaultError(.invalidInput, "a hook needs a program") }
    try FileSettings.check(path: program, "the program")
    guard arguments.count <= 64, arguments.reduce(0, { $0 + $1.utf8.count }) <= 16_384,
      arguments.allSatisfy({ !$0.utf8.contains(0) })
    else {
      throw VaultError(
        .invalidInput, "a hook has at most 63 arguments of 16,384 bytes in all, and no zero byte in them")
    }
    guard timeLimit >= .seconds(1), timeLimit <= Self.maximumTimeLimit, timeLimit.components.attoseconds == 0 else {
      throw VaultError(.invalidInput, "time limit \(Policy.text(timeLimit)): expected 1s to 1h")
    }
  }

  var members: [String: JSONValue] {
    [
      "argv": .array(arguments.map { .string($0) }), "kind": "hook", "on": .string(occasion.rawValue),
      "time_limit": .string(Policy.text(timeLimit)),
    ]
  }

  init(_ members: inout JSONMembers) throws {
    guard let occasion = Occasion(rawValue: try members.string("on")) else {
      throw VaultError(.corrupt, "a hook runs on an unknown occasion")
    }
    self.occasion = occasion
    arguments = try members.array("argv").map { argument in
      guard case .string(let text) = argument else { throw VaultError(.corrupt, "a hook's arguments must be strings") }
      return text
    }
    let text = try members.string("time_limit")
    guard let limit = Policy.duration(text), Policy.text(limit) == text else {
      throw VaultError(.corrupt, "a hook's time limit is not a duration in its shortest form")
    }
    timeLimit = limit
  }
}
