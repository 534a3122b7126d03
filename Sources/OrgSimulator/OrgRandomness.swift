import CSodium

/// Identifiers, keys and secrets in the forms that Salesforce gives them.
enum OrgRandomness {
  private static let alphanumerics = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
  private static let keyCharacters = alphanumerics + Array("._")
  private static let reservedCharacters = Array("+/=%&:;?# ~!*'()@$,<>\"\\")

  /// Libsodium must be initialised once before its random bytes are good.
  private static let isReady = sodium_init() >= 0

  /// An 18-character identifier: the prefix, random characters up to 15, and the case checksum.
  static func identifier(prefix: String) -> String {
    IDForm.eighteen(from: prefix + text(alphanumerics, count: 15 - prefix.count))
  }

  static func consumerKey() -> String { "3MVG9" + text(keyCharacters, count: 80) }

  static func secret(_ alphabet: OrgReadings.SecretAlphabet) -> String {
    switch alphabet {
    case .hex: text(Array("0123456789ABCDEF"), count: 64)
    case .reserved:
      text(alphanumerics, count: 24) + text(reservedCharacters, count: 16) + text(alphanumerics, count: 24)
    }
  }

  static func accessToken(organization: String) -> String {
    String(organization.prefix(15)) + "!" + text(keyCharacters, count: 96)
  }

  private static func text(_ characters: [Character], count: Int) -> String {
    precondition(isReady, "libsodium cannot be initialised")
    return String((0..<count).map { _ in characters[Int(randombytes_uniform(UInt32(characters.count)))] })
  }
}

/// Salesforce identifiers come in 15 case-sensitive characters, or in 18 of which the last three encode the case.
enum IDForm {
  /// Whether two identifiers name the same thing, in whichever form each is written.
  static func same(_ one: String, _ other: String) -> Bool {
    one.count >= 15 && one.prefix(15) == other.prefix(15)
  }

  static func eighteen(from fifteen: String) -> String {
    let symbols = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345")
    let characters = Array(fifteen.prefix(15))
    let suffix = stride(from: 0, to: characters.count, by: 5).map { start in
      let chunk = characters[start..<min(start + 5, characters.count)]
      let bits = chunk.enumerated().reduce(0) { $0 | (("A"..."Z").contains($1.element) ? 1 << $1.offset : 0) }
      return symbols[bits]
    }
    return String(characters) + String(suffix)
  }
}
