import Sodium
import Vault

@testable import Age

let ageTargets = [
  FuzzTarget("age-header", seeds: { [binary, sealedWithPassphrase] }) { input in
    let header = try Header(parsing: input.span.bytes)
    let version = Array("\(Header.versionPrefix)\(Header.version)\n".utf8)
    let covered = version + header.stanzas.flatMap { $0.encoded() } + Array("---".utf8)
    require(covered == header.covered, "a header that its stanzas do not give")
    let text = covered + [UInt8(ascii: " ")] + header.code.base64(padding: .none) + [UInt8(ascii: "\n")]
    require(header.size == text.count && input.starts(with: text), "a header with a second spelling")
    switch try Stanzas(in: header) {
    case .recipients(let stanzas): require(stanzas.count <= header.stanzas.count, "more stanzas than there are")
    case .passphrase(let stanza): require(stanza.salt.count == 16, "a salt of \(stanza.salt.count) bytes")
    }
  },
  FuzzTarget("age-armor", seeds: { [Armor.encode(binary), Armor.encode([]), Armor.encode([1, 2, 3])] }) { input in
    let again = try Armor.decode(Armor.encode(input).span.bytes)
    require(again == input, "armor that does not give back what it holds")
    let binary = try Armor.decode(input.span.bytes)
    require(Armor.isArmored(input.span.bytes), "armor that does not look like it")
    require(isSame(input, Armor.encode(binary)), "armor with a second spelling")
  },
  FuzzTarget("age-file", seeds: { [[0] + binary, [0] + armored, [1], [2], [3], [4, 0, 0, 1, 2, 3]] }) { input in
    guard let mode = input.first else { return }
    let rest = input.dropFirst()
    let made = mode % 4 == 2 ? armored : mode % 4 == 3 ? sealedWithPassphrase : binary
    let file = mode % 4 == 0 ? Array(rest) : edited(made, by: rest)
    _ = try? AgeFile.kind(of: file.span.bytes)
    if mode % 4 == 3 {
      let found = try AgeFile.open(
        file.span.bytes, passphrase: Fixed.passphrase.span.bytes, maximumWorkFactor: 2)
      require(found.copy == Fixed.secret && spelled(file) == made, "an altered file opens with its passphrase")
    } else {
      let found = try AgeFile.open(file.span.bytes, with: [Fixed.other.age, Fixed.identity.age])
      require(found.copy == Fixed.secret && spelled(file) == binary, "an altered file opens")
    }
  },
  FuzzTarget("age-payload", seeds: { [Array(binary.suffix(16 + 20 + 16))] }) { input in
    let fileKey = try SecretBytes(copying: [UInt8](repeating: 7, count: FileKey.size).span.bytes)
    let sealed = try Payload.seal(input.span.bytes, fileKey: fileKey, randomness: Fixed.randomness("payload"))
    let opened = try Payload.open(sealed.span.bytes, fileKey: fileKey)
    require(opened.copy == input, "a payload that does not give back what it holds")
    _ = try Payload.open(input.span.bytes, fileKey: fileKey)
    require(false, "a payload that nobody sealed opens")
  },
  FuzzTarget("age-identity", seeds: { try identityTexts() }) { input in
    if let recipient = try? AgeRecipient(String(decoding: input, as: UTF8.self)) {
      let text = try Bech32.encode(recipient.publicKey.span.bytes, prefix: AgeRecipient.prefix)
      require(text.copy == input, "a recipient with a second spelling")
    }
    let line = String(decoding: input, as: UTF8.self)
    if let recipient = try? SSHRecipient(line) {
      require(line.hasPrefix(recipient.description), "an SSH recipient with a second spelling")
    }
    if let identity = try? AgeIdentity(decoding: input.span.bytes) {
      require(try identity.encoded().copy == input, "an identity with a second spelling")
    }
    let file = try AgeIdentityFile(decoding: input.span.bytes)
    let text = try file.encoded(created: "2026-01-01T00:00:00Z")
    let again = try AgeIdentityFile(decoding: text.bytes)
    require(
      again.identities.map(\.recipient) == file.identities.map(\.recipient), "an identity file that reads otherwise")
  },
]

private let binary = made {
  try AgeFile.seal(
    Fixed.secret.span.bytes, to: [Fixed.identity.age.recipient, Fixed.other.age.recipient],
    randomness: Fixed.randomness("file"), armored: false)
}
private let armored = Armor.encode(binary)
private let sealedWithPassphrase = made {
  try AgeFile.seal(
    Fixed.secret.span.bytes, passphrase: Fixed.passphrase.span.bytes, workFactor: 1,
    randomness: Fixed.randomness("passphrase"), armored: false)
}

private func identityTexts() throws -> [[UInt8]] {
  let file = try AgeIdentityFile(Fixed.identity.age).encoded(created: "2026-01-01T00:00:00Z")
  return [file.copy, try Fixed.other.age.encoded().copy, Array(Fixed.other.age.recipient.description.utf8)]
}

/// The binary form: armor may vary in its line ends and in the blank lines around it.
private func spelled(_ file: [UInt8]) -> [UInt8] {
  guard Armor.isArmored(file.span.bytes) else { return file }
  return made { try Armor.decode(file.span.bytes) }
}

/// Whether two armored texts differ only in their line ends and in the blank lines around them.
private func isSame(_ left: [UInt8], _ right: [UInt8]) -> Bool {
  func trimmed(_ text: [UInt8]) -> [UInt8] {
    let isSpace: (UInt8) -> Bool = { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    let end = text.lastIndex { !isSpace($0) } ?? -1
    return text[...end].drop(while: isSpace).filter { $0 != 0x0D }
  }
  return trimmed(left) == trimmed(right)
}
