/// A person's words that others will read in a log, on a terminal or in a page.
package enum VisibleText {
  /// The maximum number of bytes allowed.
  package static let maximumBytes = 1000

  /// Whether `scalar` is invisible, or changes how others look: it could make one line look like another.
  package static func hides(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: true
    default: false
    }
  }

  /// Fails with `invalidInput` unless `text`, called `what`, is 1 to 1,000 bytes, without control and invisible
  /// characters.
  package static func check(_ text: String, _ what: String) throws(VaultError) {
    guard (1...maximumBytes).contains(text.utf8.count), !text.unicodeScalars.contains(where: hides) else {
      throw VaultError(
        .invalidInput, "\(what): expected 1 to \(maximumBytes) bytes without control characters or invisible ones")
    }
  }
}
