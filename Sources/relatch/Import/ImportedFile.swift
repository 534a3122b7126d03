import Glibc
import JSON
import Sodium
import Vault

/// A file of pairs from elsewhere, in guarded memory: AWS's managed external secret, dotenv, or JSON Lines of many. It
/// is never printed; errors name only line and member.
struct ImportedFile: Sendable {
  /// One credential of the file, with what the file says of it.
  struct Entry: Sendable {
    /// Where it is in the file, for errors.
    let place: String
    var name: String?
    var provider: String?
    var settings: [String: String] = [:]
    var policy: [String: String] = [:]
    var admin: String?
    var created: String?
    let pair: Pair
  }

  let entries: [Entry]

  private static let limit = 8 << 20

  /// Reads the file at `path`, `-` for standard input. Throws `notFound` if there is none, `configuration` if others
  /// may read it or another user owns it, and `corruptData` if it has none of the forms or is too large.
  init(path: String) throws {
    let content = SharedSecret(try Self.content(of: path))
    do { entries = try Self.entries(in: content.withoutMark()) } catch let error as JSONError {
      throw Self.unreadable("\(error)")
    } catch let error as VaultError where error.code == .invalidInput {
      throw Self.unreadable("\(error)")
    }
  }

  private static func content(of path: String) throws -> SecretBytes {
    if path == "-" { return try PrivateFile.readAll(STDIN_FILENO, limit: limit, "standard input") }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let number = errno
      throw Failure(
        number == ENOENT ? .notFound : .notPermitted,
        "cannot read \(Name.printable(path)): \(Errno.text(number))",
        hint: "check the path, and that you may read it; - takes standard input")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(.usage, "\(Name.printable(path)) is not a file", hint: "give a file, or - for standard input")
    }
    // Root could read a file that another user owns and may still change.
    guard status.st_uid == geteuid() else {
      throw Failure(
        .configuration, "\(Name.printable(path)) belongs to another user: nothing was imported",
        hint: "import it as that user, or look at what it contains and make it your own (chown)")
    }
    guard status.st_mode & 0o077 == 0 else {
      throw Failure(
        .configuration, "\(Name.printable(path)) may be read by others: nothing was imported",
        hint: "chmod 600 it, and soon rotate what it contains: anyone who could read it may have it")
    }
    guard status.st_size <= limit else {
      throw unreadable("\(Name.printable(path)) has more than \(limit) bytes")
    }
    return try PrivateFile.readAll(descriptor, limit: max(1, Int(status.st_size)), path)
  }

  static func unreadable(_ what: String) -> Failure {
    Failure(
      .corruptData, "the import cannot be read: \(what)",
      hint: "`relatch help add` lists the forms; nothing was imported")
  }

  // MARK: - Forms

  private static func entries(in content: SharedSecret) throws -> [Entry] {
    let first = content.secret.withUnsafeBytes { bytes in bytes.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } }
    guard first == UInt8(ascii: "{") else { return [try DotenvPair(content).entry()] }
    // One object over several lines is one credential.
    if let node = try? content.secret.withBytes({ try JSONNode(reading: $0) }) {
      return [try entry(node, in: content, "the object")]
    }
    var entries: [Entry] = []
    for (number, range) in lines(of: content) {
      let line = SharedSecret(try SecretBytes(part: range, of: content))
      do {
        let node = try line.secret.withBytes { try JSONNode(reading: $0) }
        entries.append(try entry(node, in: line, "line \(number)"))
      } catch let error where error is JSONError || error is VaultError {
        let (text, place) = ("\(error)", "line \(number): ")
        throw unreadable(text.hasPrefix(place) ? text : place + text)
      }
    }
    return entries
  }

  /// The lines that are not blank, and their numbers from 1.
  static func lines(of content: SharedSecret) -> [(number: Int, range: Range<Int>)] {
    content.secret.withUnsafeBytes { bytes in
      var lines: [(Int, Range<Int>)] = []
      var (start, number) = (0, 1)
      while start < bytes.count {
        let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
        let last = end > start && bytes[end - 1] == 0x0D ? end - 1 : end
        if bytes[start..<last].contains(where: { $0 != 0x20 && $0 != 0x09 }) { lines.append((number, start..<last)) }
        start = end + 1
        number += 1
      }
      return lines
    }
  }

  private static func entry(_ node: JSONNode, in content: SharedSecret, _ place: String) throws -> Entry {
    guard case .object(let members) = node else { throw JSONError(.wrongType, "\(place): expected an object") }
    return node["consumerKey"] == nil
      ? try ownEntry(members, node, in: content, place) : try awsEntry(members, node, in: content, place)
  }

  /// AWS Secrets Manager, secret type SalesforceClientSecret (mes-partner-salesforce.html).
  private static func awsEntry(
    _ members: [(name: String, value: JSONNode)], _ node: JSONNode, in content: SharedSecret, _ place: String
  ) throws -> Entry {
    let settings = ["baseUri": "url", "appId": "app", "consumerId": "consumer"]
    var entry = Entry(
      place: place, provider: "salesforce",
      pair: try pair(node["consumerKey"], node["consumerSecret"], nil, in: content, place))
    for member in members where !["consumerKey", "consumerSecret"].contains(member.name) {
      guard let key = settings[member.name] else { throw unknown(member.name, place) }
      entry.settings[key] = try content.secret.withBytes { try member.value.text(in: $0) }
    }
    return entry
  }

  private static func ownEntry(
    _ members: [(name: String, value: JSONNode)], _ node: JSONNode, in content: SharedSecret, _ place: String
  ) throws -> Entry {
    var entry = Entry(
      place: place,
      pair: try pair(
        node["client_id"], node["client_secret"], node["registration_access_token"], in: content, place))
    for member in members where !["client_id", "client_secret", "registration_access_token"].contains(member.name) {
      // The value of an unknown member may be a secret, and is not read.
      guard ["name", "provider", "admin", "created", "settings", "policy"].contains(member.name) else {
        throw unknown(member.name, place)
      }
      let value = try content.secret.withBytes { try JSONValue(member.value, in: $0) }
      switch (member.name, value) {
      case ("name", .string(let text)): entry.name = text
      case ("provider", .string(let text)): entry.provider = text
      case ("admin", .string(let text)): entry.admin = text
      case ("created", .string(let text)): entry.created = text
      case ("settings", .object(let object)): entry.settings = try strings(object, "settings", place)
      case ("policy", .object(let object)): entry.policy = try strings(object, "policy", place)
      default: throw unknown(member.name, place)
      }
    }
    return entry
  }

  private static func unknown(_ name: String, _ place: String) -> JSONError {
    JSONError(.wrongType, "\(place): member \(Name.printable(name)) is unknown, or not of its type")
  }

  private static func strings(
    _ object: [String: JSONValue], _ name: String, _ place: String
  ) throws -> [String: String] {
    try object.mapValues { value in
      guard case .string(let text) = value else {
        throw JSONError(.wrongType, "\(place): member \"\(name)\": expected strings")
      }
      return text
    }
  }

  private static func pair(
    _ id: JSONNode?, _ secret: JSONNode?, _ token: JSONNode?, in content: SharedSecret, _ place: String
  ) throws -> Pair {
    guard let id, let secret else {
      throw JSONError(.missing, "\(place): the client's identifier or its secret is missing")
    }
    func part(_ node: JSONNode) throws -> SecretBytes {
      try content.secret.withBytes { bytes in
        try SecretBytes(capacity: node.capacity) { try node.write(to: &$0, in: bytes) }
      }
    }
    return try ImportedFile.checked(
      Pair(
        clientID: part(id), clientSecret: part(secret), registrationToken: token.map { SharedSecret(try part($0)) }),
      place)
  }

  /// Returns `pair`. Throws `invalidInput`, which names `place`, unless all parts of it are valid.
  static func checked(_ pair: Pair, _ place: String) throws -> Pair {
    try Pair.check(pair.clientID, "\(place): the client's identifier")
    try Pair.check(pair.clientSecret, "\(place): its secret")
    if let token = pair.registrationToken { try Pair.check(token.secret, "\(place): registration_access_token") }
    return pair
  }
}

extension SharedSecret {
  /// The same without the byte order mark that some editors begin a file with. Throws `invalidInput` for UTF-16.
  func withoutMark() throws -> SharedSecret {
    func begins(with mark: [UInt8]) -> Bool { secret.withUnsafeBytes { $0.starts(with: mark) } }
    guard !begins(with: [0xFF, 0xFE]), !begins(with: [0xFE, 0xFF]) else {
      throw VaultError(.invalidInput, "it is UTF-16, expected UTF-8: save it with that encoding")
    }
    guard begins(with: [0xEF, 0xBB, 0xBF]) else { return self }
    return SharedSecret(try SecretBytes(part: 3..<secret.count, of: self))
  }
}
