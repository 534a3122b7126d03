package import Sodium

/// The text file that `age-keygen` writes and `age -i` reads:
///
///     # created: 2026-01-02T15:30:45Z
///     # name: bo
///     # public key: age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj
///     AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX
///
/// There is one identity to a line. Lines that are empty or begin with `#` are comments; the name, which only Relatch
/// reads, may be missing. Lines end with LF or CRLF, and the last one may end with the file.
package struct AgeIdentityFile: Sendable {
  /// In bytes: far more than any person's identities take.
  package static let maximumSize = 1 << 20

  /// One or more identities, in the file's order.
  package let identities: [AgeIdentity]

  /// The name in the first valid comment `# name: …`; nil if there is none. Nothing depends on it.
  package let name: String?

  package init(_ identity: AgeIdentity, name: String? = nil) {
    identities = [identity]
    self.name = name
  }

  /// Reads a file. A line of any other kind makes the whole file fail with `malformedIdentity` and the line's number.
  package init(decoding text: RawSpan) throws {
    guard text.byteCount <= Self.maximumSize else {
      throw AgeError(.tooLarge, "identity file has \(text.byteCount) bytes, expected at most \(Self.maximumSize)")
    }
    var identities: [AgeIdentity] = []
    var name: String?
    var start = 0
    var number = 0
    while start < text.byteCount {
      let end = (start..<text.byteCount).first { text.byte(at: $0) == UInt8(ascii: "\n") } ?? text.byteCount
      let hasReturn = end > start && end < text.byteCount && text.byte(at: end - 1) == UInt8(ascii: "\r")
      let line = text.extracting(start..<(hasReturn ? end - 1 : end))
      start = end + 1
      number += 1
      if line.isEmpty || line.byte(at: 0) == UInt8(ascii: "#") {
        name = name ?? Self.name(in: line)
        continue
      }
      do {
        identities.append(try AgeIdentity(decoding: line))
      } catch let error as AgeError {
        throw AgeError(error.code, "identity file, line \(number): \(error.description)")
      }
    }
    guard !identities.isEmpty else {
      throw AgeError(.malformedIdentity, "identity file has no identity, expected one or more")
    }
    self.identities = identities
    self.name = name
  }

  private static let nameMark = "# name: "

  /// The name in the comment `line`: visible ASCII, at most 128 characters. Nil if it holds no such name.
  private static func name(in line: RawSpan) -> String? {
    let mark = Array(nameMark.utf8)
    guard (mark.count + 1...mark.count + 128).contains(line.byteCount),
      mark.indices.allSatisfy({ line.byte(at: $0) == mark[$0] })
    else { return nil }
    let bytes = (mark.count..<line.byteCount).map { line.byte(at: $0) }
    return bytes.allSatisfy { (0x21...0x7E).contains($0) } ? String(decoding: bytes, as: UTF8.self) : nil
  }

  /// The file's text. `created` is the time written at the top, one line of printable ASCII.
  package func encoded(created: String) throws -> SecretBytes {
    guard (created + (name ?? "")).utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
      throw AgeError(.malformedIdentity, "time of creation, or the name, is not one line of ASCII")
    }
    let top = Array(("# created: \(created)\n" + (name.map { "\(Self.nameMark)\($0)\n" } ?? "")).utf8)
    let comments = identities.map { Array("# public key: \($0.recipient)\n".utf8) }
    // An identity takes 74 characters and a line end; 80 leaves room.
    let capacity = comments.reduce(top.count) { $0 + $1.count + 80 }
    return try SecretBytes(capacity: capacity) { output in
      output.append(copying: top.span.bytes)
      for (identity, comment) in zip(identities, comments) {
        output.append(copying: comment.span.bytes)
        let text = try identity.encoded()
        output.append(copying: text.bytes)
        output.append(UInt8(ascii: "\n"))
      }
    }
  }
}
