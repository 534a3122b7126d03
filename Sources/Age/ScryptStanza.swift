import Sodium

/// The scrypt recipient type (c2sp.org/age, "The scrypt recipient type"): a passphrase.
struct ScryptStanza {
  static let type = "scrypt"
  /// The work factors that memory allows: 2^22 takes 4 GiB.
  static let workFactors = 1...22
  private static let saltSize = 16
  private static let label = Array("age-encryption.org/v1/scrypt".utf8)

  let salt: [UInt8]
  /// The base-two logarithm of the cost; nil if the header's number does not fit in an `Int`.
  let workFactor: Int?
  let body: [UInt8]

  /// Checks a stanza of this type. One that is not exactly as specified is refused, not skipped.
  init(_ stanza: Stanza) throws {
    guard stanza.arguments.count == 3 else {
      throw AgeError(.malformedHeader, "scrypt stanza has \(stanza.arguments.count) arguments, expected 3")
    }
    guard let salt = [UInt8](base64: stanza.arguments[1], padding: .none), salt.count == Self.saltSize else {
      throw AgeError(.malformedHeader, "scrypt salt is not \(Self.saltSize) bytes of canonical unpadded base64")
    }
    // The digits are checked before `Int` sees them, because it would accept a sign and leading zeros.
    let digits = stanza.arguments[2]
    guard digits.first != UInt8(ascii: "0"), digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
      throw AgeError(.malformedHeader, "scrypt work factor is not a decimal number without leading zeros")
    }
    guard stanza.body.count == FileKey.wrappedSize else {
      throw AgeError(
        .malformedHeader, "scrypt stanza body has \(stanza.body.count) bytes, expected \(FileKey.wrappedSize)")
    }
    self.salt = salt
    workFactor = Int(String(decoding: digits, as: UTF8.self))
    body = stanza.body
  }

  /// The file key, or nil if `passphrase` is another one. A stanza above `maximumWorkFactor` is refused without doing
  /// the work, because the header is not authentic yet and its author chose the cost.
  func unwrap(with passphrase: RawSpan, maximumWorkFactor: Int) throws -> SecretBytes? {
    let maximum = min(maximumWorkFactor, Self.workFactors.upperBound)
    guard let workFactor, workFactor <= maximum else {
      let found = workFactor.map(String.init) ?? "beyond 2^63"
      throw AgeError(.workFactorOutOfRange, "scrypt work factor is \(found), expected at most \(maximum)")
    }
    return try FileKey.unwrap(body, with: try Self.wrapKey(passphrase, salt: salt, workFactor: workFactor))
  }

  /// A stanza that gives `fileKey` to anyone who knows `passphrase`.
  static func wrap(
    _ fileKey: borrowing SecretBytes, passphrase: RawSpan, workFactor: Int, randomness: Randomness
  ) throws -> Stanza {
    guard workFactors.contains(workFactor) else {
      throw AgeError(
        .workFactorOutOfRange,
        "scrypt work factor is \(workFactor), expected \(workFactors.lowerBound) to \(workFactors.upperBound)")
    }
    let salt = randomness.bytes(saltSize)
    let wrapKey = try wrapKey(passphrase, salt: salt, workFactor: workFactor)
    return Stanza(
      [Array(type.utf8), salt.base64(padding: .none), Array(String(workFactor).utf8)],
      body: try FileKey.wrap(fileKey, with: wrapKey))
  }

  private static func wrapKey(_ passphrase: RawSpan, salt: [UInt8], workFactor: Int) throws -> SecretBytes {
    try Scrypt.key(passphrase: passphrase, salt: label + salt, workFactor: workFactor)
  }
}
