import Sodium
package import Vault

/// The end of a program's output, with every part of every known pair masked, even if it came in pieces.
///
/// What is not judged yet is kept in guarded memory; what is kept to be shown contains no secret any more.
package struct OutputCapture: Sendable {
  /// How many bytes of the end are kept.
  package static let capacity = 1 << 16
  /// The replacement for a secret.
  package static let mask = "[masked]"
  /// A piece of a secret at the very end is masked if it is at least this long.
  private static let minimumPiece = 4

  private let patterns: [SecretPattern]
  private let firstBytes: [Bool]
  private var rest: SharedSecret?
  /// How much of `rest` is known to belong to a secret.
  private var masked = 0
  private var isMasking = false
  /// How much of `rest` was already kept for showing before it was judged.
  private var shown = 0
  /// Masked, at most twice `capacity`.
  private var kept: [UInt8] = []

  package init(masking pairs: [Pair]) throws {
    var patterns: [SecretPattern] = []
    for pair in pairs {
      patterns += try SecretPattern.patterns(of: pair.clientSecret)
      patterns += try SecretPattern.patterns(of: pair.clientID)
    }
    self.patterns = patterns
    let all = patterns
    firstBytes = (0...255).map { byte in all.contains { $0.firstBytes[byte] } }
  }

  /// Takes the next piece.
  package mutating func take(_ piece: UnsafeRawBufferPointer) throws { try take(piece, isLast: false) }

  /// Ends the input, and returns what was kept.
  package mutating func finish() throws -> [UInt8] {
    try take(UnsafeRawBufferPointer(start: nil, count: 0), isLast: true)
    return Array(kept.suffix(Self.capacity))
  }

  /// Returns what was kept since the last call, and keeps it no longer. It is everything, as long as no piece is longer
  /// than `capacity`.
  mutating func passOn() -> [UInt8] {
    defer { kept = [] }
    return kept
  }

  /// If only a few characters wait to be judged, keeps them as they are: otherwise the question of a program that waits
  /// for an answer would not be seen. If they turn out to be the beginning of a secret, everything after them is
  /// masked.
  mutating func showBeginning() {
    guard let rest else { return }
    rest.secret.withUnsafeBytes { bytes in
      guard bytes.count(where: { $0 != 0x0A && $0 != 0x0D }) < Self.minimumPiece, shown < bytes.count else { return }
      let start = max(shown, masked)
      if start < bytes.count { kept += bytes[start...] }
      shown = bytes.count
    }
  }

  private mutating func take(_ piece: UnsafeRawBufferPointer, isLast: Bool) throws {
    let before = rest
    let capacity = (before?.secret.count ?? 0) + piece.count
    let window = try SecretBytes(capacity: capacity) { output in
      if let before { before.secret.withBytes { output.append(copying: $0) } }
      output.append(copying: piece.bytes)
    }
    let judged = window.withUnsafeBytes { judge($0, isLast: isLast) }
    shown = max(0, shown - judged)
    if judged == window.count {
      rest = nil
    } else {
      let left = try SecretBytes(capacity: window.count - judged) { output in
        window.withUnsafeBytes { output.append(copying: UnsafeRawBufferPointer(rebasing: $0[judged...]).bytes) }
      }
      rest = SharedSecret(left)
    }
    if kept.count > 2 * Self.capacity { kept.removeFirst(kept.count - Self.capacity) }
  }

  /// Keeps what can be judged, masked, and returns how much that is.
  private mutating func judge(_ text: UnsafeRawBufferPointer, isLast: Bool) -> Int {
    var position = 0
    // All positions are looked at, even those inside an occurrence: another may begin there.
    while position < text.count {
      if firstBytes[Int(text[position])] {
        let (longest, piece) = find(in: text, at: position)
        if piece != nil, !isLast {
          masked = max(0, masked - position)
          return position
        }
        masked = max(masked, position + longest)
        if let piece, piece >= Self.minimumPiece { masked = text.count }
      }
      if position < shown {
        // Already shown: at most the beginning of a secret.
        isMasking = false
      } else if position < masked {
        if !isMasking { kept += Array(Self.mask.utf8) }
        isMasking = true
      } else {
        isMasking = false
        kept.append(text[position])
      }
      position += 1
      if kept.count > 3 * Self.capacity { kept.removeFirst(kept.count - Self.capacity) }
    }
    masked = max(0, masked - text.count)
    return text.count
  }

  /// The longest match of any pattern, and how much of a secret ends with the text, if one may.
  private func find(in text: UnsafeRawBufferPointer, at position: Int) -> (longest: Int, piece: Int?) {
    var longest = 0
    var partial: Int?
    for pattern in patterns where pattern.firstBytes[Int(text[position])] {
      switch pattern.find(in: text, at: position) {
      case .match(let count): longest = max(longest, count)
      case .partial(let count): partial = max(partial ?? 0, count)
      case .none: break
      }
    }
    return (longest, partial)
  }
}

extension OutputCapture {
  /// `bytes` for the end of an error: at most the last 600, on one line, with nothing that controls a terminal.
  package static func line(_ bytes: [UInt8]) -> String {
    let limit = 600
    let isCut = bytes.count > limit
    var words = ""
    for scalar in String(decoding: bytes.suffix(limit), as: UTF8.self).unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control where scalar == "\n" || scalar == "\r" || scalar == "\t": words += " "
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate:
        words += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
      default: words.unicodeScalars.append(scalar)
      }
    }
    let shown = words.split(separator: " ").joined(separator: " ")
    return shown.isEmpty ? "" : isCut ? "… \(shown)" : shown
  }
}
