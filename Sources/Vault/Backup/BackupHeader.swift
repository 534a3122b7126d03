import Audit

/// One header of the POSIX archive (ustar) that is a backup's plaintext: vault/backup.md. A name, a size and a time
/// decide every byte of it, so reading one means comparing it with what would have been written.
struct BackupHeader: Hashable, Sendable {
  /// What an archive holds, in this order.
  enum Item: Hashable, Sendable {
    case keysFolder
    case keyFile(id: Identifier)
    case database

    var name: String {
      switch self {
      case .keysFolder: "keys/"
      case .keyFile(let id): "keys/\(id).age"
      case .database: "vault.db"
      }
    }

    fileprivate init?(name: String) {
      if name == Item.keysFolder.name {
        self = .keysFolder
      } else if name == Item.database.name {
        self = .database
      } else if name.hasPrefix("keys/"), name.hasSuffix(".age"),
        let id = Identifier(String(name.dropFirst(5).dropLast(4)))
      {
        self = .keyFile(id: id)
      } else {
        return nil
      }
    }
  }

  static let size = 512
  /// The most that eleven octal digits can express.
  static let maximumFileSize = (8 << 30) - 1
  /// The sizes that a key file can have: up to what `PrivateFile` reads of one when the vault is opened.
  static let keyFileSizes = 1...1 << 16

  let item: Item
  let size: Int
  /// Seconds since 1970.
  let modified: Int

  init(_ item: Item, size: Int = 0, modified: Timestamp) {
    // A clock far ahead must not make a backup that nothing restores.
    self.init(item, size: size, modified: min(max(0, Int(modified.milliseconds / 1000)), Self.maximumFileSize))
  }

  private init(_ item: Item, size: Int, modified: Int) {
    self.item = item
    self.size = size
    self.modified = modified
  }

  /// How many zero bytes follow the content, so that it fills whole blocks.
  var padding: Int { (Self.size - size % Self.size) % Self.size }

  /// The 512 bytes.
  var bytes: [UInt8] {
    let isFolder = item == .keysFolder
    var bytes: [UInt8] = []
    func add(_ text: String, _ width: Int) {
      bytes += Array(text.utf8)
      bytes += [UInt8](repeating: 0, count: width - text.utf8.count)
    }
    add(item.name, 100)
    add(isFolder ? "0000700" : "0000600", 8)
    add(Self.octal(0, 7), 8)
    add(Self.octal(0, 7), 8)
    add(Self.octal(size, 11), 12)
    add(Self.octal(modified, 11), 12)
    add("        ", 8)
    add(isFolder ? "5" : "0", 1)
    add("", 100)
    add("ustar", 6)
    add("00", 2)
    add("", 64)
    add(Self.octal(0, 7), 8)
    add(Self.octal(0, 7), 8)
    add("", 155 + 12)
    // Computed with its own field as spaces.
    let sum = bytes.reduce(0) { $0 + Int($1) }
    bytes.replaceSubrange(148..<156, with: Array(Self.octal(sum, 6).utf8) + [0, UInt8(ascii: " ")])
    return bytes
  }

  /// Reads 512 bytes. Throws `corrupt` unless they are what `bytes` would return.
  init(decoding bytes: [UInt8]) throws(VaultError) {
    guard bytes.count == Self.size, let item = Item(name: Self.text(bytes[..<100])),
      let size = Self.number(bytes[124..<135]), let modified = Self.number(bytes[136..<147])
    else { throw VaultError(.corrupt, "the archive contains something other than a vault's files") }
    self.init(item, size: size, modified: modified)
    guard self.bytes == bytes else {
      throw VaultError(.corrupt, "the archive's header of \(item.name) is not in the form of a backup")
    }
  }

  private static func octal(_ number: Int, _ digits: Int) -> String {
    let text = String(number, radix: 8)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
  }

  private static func text(_ field: ArraySlice<UInt8>) -> String {
    String(decoding: field.prefix { $0 != 0 }, as: UTF8.self)
  }

  /// Digits only: the standard library would accept a sign, too.
  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }) else { return nil }
    return Int(String(decoding: digits, as: UTF8.self), radix: 8)
  }
}
