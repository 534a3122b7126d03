package import Sodium

/// Whole files in the age v1 format (c2sp.org/age), as the `age` program reads and writes them.
///
/// Everything here is held in memory. Plaintexts are keys, records and identity files: they stay in guarded memory
/// throughout, and no byte of one is released before the whole file is known to be authentic. Larger plaintexts go
/// through `AgeSealer`, and through `open(with:reading:writing:)` in `AgeFile+Stream.swift`.
///
/// Opening is strict. Anything that another encoder could have written in a second way is refused, so that a binary
/// file with any byte altered does not open; `Armor` says what may vary there. Stanzas of unknown types are skipped, as
/// the specification asks.
package enum AgeFile {
  /// The largest plaintext, in bytes, that is sealed or opened.
  package static let maximumPlaintextSize = 32 << 20
  /// The largest file, in bytes, that is read: room for that plaintext, a header, tags and armor.
  package static let maximumFileSize = 48 << 20

  /// What it takes to open a file.
  package enum Kind: Sendable {
    /// One of the identities it is sealed to.
    case recipients
    /// A passphrase.
    case passphrase
  }

  /// What it takes to open `file`, or nil if it is not an age file at all, such as a plaintext identity file. Throws if
  /// it is an age file whose armor or header is malformed. Nothing is authenticated.
  package static func kind(of file: RawSpan) throws -> Kind? {
    do {
      return try withBinary(file) { binary in
        switch try Stanzas(in: Header(parsing: binary)) {
        case .recipients: .recipients
        case .passphrase: .passphrase
        }
      }
    } catch let error as AgeError where error.code == .notAnAgeFile {
      return nil
    }
  }

  /// Seals `plaintext` to each of `recipients`, of whom there must be at least one.
  package static func seal(
    _ plaintext: RawSpan, to recipients: [AgeRecipient], randomness: Randomness, armored: Bool
  ) throws -> [UInt8] {
    let stanzas = try wrapping(to: recipients, randomness)
    return try seal(plaintext, randomness: randomness, armored: armored) { try stanzas($0) }
  }

  /// The header of a file sealed to each of `recipients`, and its file key.
  static func header(
    to recipients: [AgeRecipient], randomness: Randomness
  ) throws -> (bytes: [UInt8], fileKey: SharedSecret) {
    let fileKey = try FileKey.generate(with: randomness)
    let stanzas = try wrapping(to: recipients, randomness)
    let header = try header(of: stanzas(fileKey), fileKey)
    return (header, SharedSecret(fileKey))
  }

  /// Seals `plaintext` with `passphrase`, which must not be empty, at the cost of 2^`workFactor` KiB of memory and
  /// about as many microseconds.
  package static func seal(
    _ plaintext: RawSpan, passphrase: RawSpan, workFactor: Int = 18, randomness: Randomness, armored: Bool
  ) throws -> [UInt8] {
    guard !passphrase.isEmpty else { throw AgeError(.nothingToSealTo, "passphrase is empty") }
    return try seal(plaintext, randomness: randomness, armored: armored) { fileKey in
      [try ScryptStanza.wrap(fileKey, passphrase: passphrase, workFactor: workFactor, randomness: randomness)]
    }
  }

  /// Opens a file sealed to one of `identities`, armored or not.
  package static func open(_ file: RawSpan, with identities: [AgeIdentity]) throws -> SecretBytes {
    try open(file) { stanzas in
      try fileKey(in: stanzas, with: identities)
    }
  }

  /// The file key that one of `identities` unwraps. Throws `noMatchingIdentity` if none does.
  static func fileKey(in stanzas: Stanzas, with identities: [AgeIdentity]) throws -> SecretBytes {
    guard case .recipients(let stanzas) = stanzas else {
      throw AgeError(.noMatchingIdentity, "file is sealed with a passphrase, expected an identity's file")
    }
    for stanza in stanzas {
      for identity in identities {
        if let fileKey = try stanza.unwrap(with: identity) { return fileKey }
      }
    }
    throw AgeError(
      .noMatchingIdentity,
      "file is sealed to \(stanzas.count) recipients, but not to this identity")
  }

  /// Opens a file sealed with `passphrase`, armored or not. A file that demands more work than 2^`maximumWorkFactor` is
  /// refused before any work is done.
  package static func open(
    _ file: RawSpan, passphrase: RawSpan, maximumWorkFactor: Int = ScryptStanza.workFactors.upperBound
  ) throws -> SecretBytes {
    try open(file) { stanzas in
      guard case .passphrase(let stanza) = stanzas else {
        throw AgeError(.noMatchingIdentity, "file is sealed to identities, expected a passphrase's file")
      }
      guard let fileKey = try stanza.unwrap(with: passphrase, maximumWorkFactor: maximumWorkFactor) else {
        throw AgeError(.wrongPassphrase, "file does not open with this passphrase")
      }
      return fileKey
    }
  }
}

extension AgeFile {
  static func seal(
    _ plaintext: RawSpan, randomness: Randomness, armored: Bool,
    wrap: (borrowing SecretBytes) throws -> [Stanza]
  ) throws -> [UInt8] {
    guard plaintext.byteCount <= maximumPlaintextSize else {
      throw AgeError(
        .tooLarge, "plaintext has \(plaintext.byteCount) bytes, expected at most \(maximumPlaintextSize)")
    }
    let fileKey = try FileKey.generate(with: randomness)
    let header = try header(of: wrap(fileKey), fileKey)
    let file = header + (try Payload.seal(plaintext, fileKey: fileKey, randomness: randomness))
    return armored ? Armor.encode(file) : file
  }

  private static func wrapping(
    to recipients: [AgeRecipient], _ randomness: Randomness
  ) throws -> (borrowing SecretBytes) throws -> [Stanza] {
    guard !recipients.isEmpty else { throw AgeError(.nothingToSealTo, "sealing to 0 recipients, expected one or more") }
    return { fileKey in
      var stanzas: [Stanza] = []
      for recipient in recipients {
        stanzas.append(try X25519Stanza.wrap(fileKey, to: recipient, randomness: randomness))
      }
      return stanzas
    }
  }

  private static func header(of stanzas: [Stanza], _ fileKey: borrowing SecretBytes) throws -> [UInt8] {
    let header = try Header.encode(stanzas, fileKey: fileKey)
    guard header.count <= Header.maximumSize else {
      throw AgeError(.tooLarge, "header has \(header.count) bytes, expected at most \(Header.maximumSize)")
    }
    return header
  }

  private static func open(_ file: RawSpan, unwrap: (Stanzas) throws -> SecretBytes) throws -> SecretBytes {
    try withBinary(file) { binary in
      let header = try Header(parsing: binary)
      let fileKey = try unwrap(try Stanzas(in: header))
      try header.authenticate(with: fileKey)
      return try Payload.open(binary.extracting(droppingFirst: header.size), fileKey: fileKey)
    }
  }

  /// Checks the size of `file` and calls `body` with its binary form.
  private static func withBinary<Result: ~Copyable>(_ file: RawSpan, _ body: (RawSpan) throws -> Result) throws
    -> Result
  {
    guard file.byteCount <= maximumFileSize else {
      throw AgeError(.tooLarge, "file has \(file.byteCount) bytes, expected at most \(maximumFileSize)")
    }
    guard Armor.isArmored(file) else { return try body(file) }
    let binary = try Armor.decode(file)
    return try body(binary.span.bytes)
  }
}
