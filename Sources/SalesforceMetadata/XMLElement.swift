/// An element of a document, without attributes: in metadata they mean nothing.
struct XMLElement: Equatable, Sendable {
  /// Without its namespace.
  let name: String
  /// Whether it is in the namespace of metadata. The namespace itself is not kept, because each element would have a
  /// copy.
  let isMetadata: Bool
  /// The line, from 1, where its start tag begins.
  let line: Int
  /// Its own text, outside its children, without the space around it. The text of a key, a secret or a certificate is
  /// not kept: only `isBlank` says whether there was any.
  fileprivate(set) var text = ""
  /// Whether it has no text except white space.
  fileprivate(set) var isBlank = true
  fileprivate(set) var children: [XMLElement] = []

  init(name: String, isMetadata: Bool = true, line: Int) {
    self.name = name
    self.isMetadata = isMetadata
    self.line = line
  }

  /// The namespace of all metadata.
  static let metadataNamespace = "http://soap.sforce.com/2006/04/metadata"

  /// Elements whose text is never kept.
  static let withheld: Set = ["consumerKey", "consumerSecret", "certificate"]

  /// The children called `name`, in order.
  func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }

  /// The first child called `name`.
  func first(_ name: String) -> XMLElement? { children.first { $0.name == name } }

  mutating func finish() {
    text = text.trimmed
    isBlank = isBlank && text.isEmpty
  }

  /// Adds a piece of text; false if the text would have more than `limit` bytes.
  mutating func take(_ piece: UnsafeRawBufferPointer, limit: Int) -> Bool {
    if Self.withheld.contains(name) {
      isBlank = isBlank && piece.allSatisfy { $0 == 0x20 || (0x09...0x0D).contains($0) }
      return true
    }
    guard text.utf8.count + piece.count <= limit else { return false }
    text += String(decoding: piece, as: UTF8.self)
    return true
  }

  mutating func add(_ child: XMLElement) { children.append(child) }
}

extension String {
  /// The text without XML's white space around it.
  var trimmed: String {
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }
    let bytes = utf8
    guard let first = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.lastIndex(where: { !isSpace($0) })
    else { return "" }
    return String(self[first...last])
  }
}
