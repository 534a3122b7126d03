package import JSON

/// Someone who is handed checkpoints, so that cutting off or rewriting the log is noticed (vault/witness.md).
package struct Witness: Hashable, Sendable {
  /// How a checkpoint gets there.
  package enum Kind: Hashable, Sendable {
    /// One file, which always holds the newest checkpoint that came there.
    case file(path: String)
    /// A folder, which gets a file for each checkpoint.
    case folder(path: String)
    /// A program, started without a shell, that takes the checkpoint on standard input and prints cosignatures.
    case command([String], WitnessKey)
    /// A witness that speaks c2sp.org/tlog-witness at this submission prefix.
    case http(url: String, WitnessKey)
  }

  /// The most bytes that a path, a URL or all arguments together may have.
  private static let maximumLength = 4096
  private static let maximumArguments = 64

  package let name: String
  package let kind: Kind

  /// Throws `malformed` unless the name is 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit, and the
  /// place is an absolute path, a program, or a URL of `https` or `http` without a query.
  package init(name: String, kind: Kind) throws(AuditError) {
    self.name = name
    self.kind = kind
    guard let first = name.utf8.first, Self.isAlphanumeric(first), name.utf8.count <= 64,
      name.utf8.allSatisfy({ Self.isAlphanumeric($0) || "._-".utf8.contains($0) })
    else {
      throw AuditError(
        .malformed, "a witness's name: expected 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit")
    }
    switch kind {
    case .file(let path), .folder(let path):
      guard Self.isPath(path) else {
        throw AuditError(.malformed, "witness \(name): expected an absolute path without control characters")
      }
    case .command(let arguments, _):
      guard let program = arguments.first, Self.isPath(program), arguments.count <= Self.maximumArguments,
        arguments.allSatisfy({ Self.isPlain($0) }),
        arguments.reduce(0, { $0 + $1.utf8.count }) <= Self.maximumLength
      else {
        throw AuditError(
          .malformed,
          "witness \(name): expected the absolute path of a program and at most \(Self.maximumArguments - 1) arguments")
      }
    case .http(let url, _):
      guard url.hasPrefix("https://") || url.hasPrefix("http://"),
        url.utf8.count <= Self.maximumLength, Self.isPlain(url),
        !url.utf8.contains(UInt8(ascii: "?")), url.utf8.last != UInt8(ascii: "/")
      else {
        throw AuditError(
          .malformed, "witness \(name): expected a submission prefix https://… without a slash at its end")
      }
    }
  }

  /// The key that its cosignatures verify under; nil if it makes none.
  package var key: WitnessKey? {
    switch kind {
    case .file, .folder: nil
    case .command(_, let key), .http(_, let key): key
    }
  }

  /// Where it is, in words.
  package var place: String {
    switch kind {
    case .file(let path), .folder(let path): path
    case .command(let arguments, _): arguments.joined(separator: " ")
    case .http(let url, _): url
    }
  }

  private var members: (word: String, place: (name: String, value: JSONValue)) {
    switch kind {
    case .file(let path): ("file", ("path", .string(path)))
    case .folder(let path): ("folder", ("path", .string(path)))
    case .command(let arguments, _): ("command", ("argv", .array(arguments.map { .string($0) })))
    case .http(let url, _): ("http", ("url", .string(url)))
    }
  }

  /// The word for its kind.
  package var word: String { members.word }

  /// The witness as the log has it.
  package var json: JSONValue {
    let (word, place) = members
    var object: [String: JSONValue] = ["kind": .string(word), "name": .string(name), place.name: place.value]
    if let key { object["key"] = .string(key.description) }
    return .object(object)
  }

  /// Reads that object, and nothing else. Throws `notCanonical`.
  package init(_ value: JSONValue) throws(AuditError) {
    let parts: (name: String, kind: Kind)
    do { parts = try Self.read(value) } catch let error as AuditError {
      throw AuditError(.notCanonical, error.description)
    } catch { throw AuditError(.notCanonical, "a witness: \(error)") }
    do { try self.init(name: parts.name, kind: parts.kind) } catch {
      throw AuditError(.notCanonical, error.description)
    }
  }

  private static func read(_ value: JSONValue) throws -> (name: String, kind: Kind) {
    var members = try JSONMembers(of: value, "a witness")
    let (name, word) = (try members.string("name"), try members.string("kind"))
    let kind: Kind
    switch word {
    case "file": kind = .file(path: try members.string("path"))
    case "folder": kind = .folder(path: try members.string("path"))
    case "command":
      let arguments = try members.array("argv").map { argument in
        guard case .string(let text) = argument else { throw AuditError(.notCanonical, "a witness's argv: no string") }
        return text
      }
      kind = .command(arguments, try WitnessKey(members.string("key")))
    case "http": kind = .http(url: try members.string("url"), try WitnessKey(members.string("key")))
    default: throw AuditError(.notCanonical, "a witness of an unknown kind")
    }
    try members.finish()
    return (name, kind)
  }

  private static func isPath(_ text: String) -> Bool {
    text.hasPrefix("/") && text.utf8.last != UInt8(ascii: "/") && text.utf8.count <= maximumLength && isPlain(text)
  }

  private static func isPlain(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
  }
}
