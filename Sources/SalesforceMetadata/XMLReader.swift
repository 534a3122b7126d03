import CExpat
import Glibc

/// Why a document was refused, and where.
struct XMLFault: Error, Equatable {
  /// Counted from 1.
  let line: Int
  let text: String
}

/// Reads XML 1.0 in UTF-8 with libexpat, within bounds. Document types are refused, so there are no entities except
/// XML's own five and nothing that expands. Nothing is fetched. Bytes, elements and levels are limited.
enum XMLReader {
  /// In bytes. Such files usually have a few hundred.
  static let maximumSize = 1 << 20
  private static let maximumElements = 10_000
  private static let maximumLevels = 32
  private static let maximumTextLength = 1 << 16
  /// In bytes, including the namespace.
  private static let maximumNameLength = 1 << 10

  /// The root element of the document in `bytes`.
  ///
  /// Throws `XMLFault`, or `MetadataError.noReader` if libexpat cannot be loaded.
  static func read(_ bytes: UnsafeRawBufferPointer) throws -> XMLElement {
    // libexpat obeys this byte order mark whatever encoding it was given.
    guard !bytes.starts(with: [0xFE, 0xFF]), !bytes.starts(with: [0xFF, 0xFE]) else {
      throw XMLFault(line: 1, text: "it is in UTF-16, and metadata must be in UTF-8")
    }
    let document = Document()
    var handlers = cexpat_handlers(
      start: { context, name, line in
        guard let document = Document.at(context), let name else { return false }
        return document.start(name, Int(clamping: line))
      },
      end: { Document.at($0)?.end() ?? false },
      text: { context, bytes, count in
        Document.at(context)?.text(UnsafeRawBufferPointer(start: bytes, count: count)) ?? false
      })
    let result = withExtendedLifetime(document) {
      cexpat_read(
        bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, &handlers,
        Unmanaged.passUnretained(document).toOpaque())
    }
    let line = max(1, Int(clamping: result.line))
    switch Int(result.status) {
    case Int(CEXPAT_WHOLE):
      guard let root = document.root else { throw XMLFault(line: line, text: "it has no element") }
      return root
    case Int(CEXPAT_DOCTYPE):
      throw XMLFault(line: line, text: "it has a document type declaration, which is refused: metadata has none")
    case Int(CEXPAT_ENCODING):
      throw XMLFault(line: line, text: "it says that it is not in UTF-8, as metadata must be")
    case Int(CEXPAT_STOPPED):
      throw XMLFault(
        line: line,
        text:
          "it has more than \(maximumElements) elements, \(maximumLevels) levels, \(maximumTextLength) bytes in one element, or"
          + " \(maximumNameLength) in a name")
    case Int(CEXPAT_MALFORMED):
      let reason = result.message.map { String(cString: $0) } ?? "unknown"
      throw XMLFault(line: line, text: "it is not well-formed XML in UTF-8: \(reason)")
    case Int(CEXPAT_NO_MEMORY):
      throw XMLFault(line: line, text: "there is no memory to read it")
    default:
      throw MetadataError(.noReader, "cannot read XML: libexpat 2 (libexpat.so.1) cannot be loaded")
    }
  }

  /// The document as far as it has been read: the elements that are still open, outermost first.
  private final class Document {
    private var open: [XMLElement] = []
    private var count = 0
    private(set) var root: XMLElement?

    static func at(_ context: UnsafeMutableRawPointer?) -> Document? {
      context.map { Unmanaged<Document>.fromOpaque($0).takeUnretainedValue() }
    }

    func start(_ name: UnsafePointer<CChar>, _ line: Int) -> Bool {
      count += 1
      guard count <= maximumElements, open.count < maximumLevels, strnlen(name, maximumNameLength) < maximumNameLength
      else {
        return false
      }
      let words = String(cString: name).split(separator: " ", maxSplits: 1)
      guard let local = words.last else { return false }
      open.append(
        XMLElement(
          name: String(local), isMetadata: words.count == 2 && words[0] == XMLElement.metadataNamespace, line: line))
      return true
    }

    func end() -> Bool {
      guard var element = open.popLast() else { return false }
      element.finish()
      if open.isEmpty { root = element } else { open[open.count - 1].add(element) }
      return true
    }

    func text(_ piece: UnsafeRawBufferPointer) -> Bool {
      guard !open.isEmpty else { return false }
      return open[open.count - 1].take(piece, limit: maximumTextLength)
    }
  }
}
