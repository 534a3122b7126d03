/// The rule for names of credentials and members, and of settings' keys.
package enum Name {
  package static let maximumLength = 128

  /// Fails unless `text` has 1 to 128 of the characters `A-Z a-z 0-9 . _ - / @`, begins with a letter or digit, and
  /// holds no empty or dotted path part: it is safe in logs, on terminals, in shells and as a relative path.
  package static func check(_ text: String, _ what: String) throws(VaultError) {
    let bytes = Array(text.utf8)
    func isAlphanumeric(_ byte: UInt8) -> Bool {
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
    }
    guard let first = bytes.first, isAlphanumeric(first), bytes.count <= maximumLength,
      bytes.allSatisfy({ isAlphanumeric($0) || ".-_/@".utf8.contains($0) }),
      text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }
      )
    else {
      throw VaultError(
        .invalidInput,
        "\(what) \(printable(text)): expected 1 to \(maximumLength) of A-Z a-z 0-9 . _ - / @, beginning with a letter or"
          + " digit"
      )
    }
  }

  /// `text` in quotes with everything but printable ASCII escaped: what came from outside must not steer a terminal.
  package static func printable(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars.prefix(200) { result += scalar.escaped(asASCII: true) }
    return result + "\""
  }
}
