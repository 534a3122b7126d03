import Foundation
import Sodium
import Testing

@testable import Age

@Suite("CCTV age vectors", .enabled(if: !Vector.names.isEmpty, "no vectors in \(Vector.folder.path)"))
struct VectorTests {
  @Test("opening a file gives the result that its header states", arguments: Vector.names)
  func outcome(of name: String) throws {
    let vector = try Vector(named: name)
    #expect(!vector.identities.isEmpty || !vector.passphrases.isEmpty || vector.expectation != .success)
    var outcomes: [Result<String, AgeError>] = []
    if !vector.identities.isEmpty || vector.passphrases.isEmpty {
      let identities = try vector.identities.map { try AgeIdentity(decoding: Array($0.utf8).span.bytes) }
      outcomes.append(try digest { try AgeFile.open(vector.file.span.bytes, with: identities) })
    }
    for passphrase in vector.passphrases {
      let passphrase = Array(passphrase.utf8)
      outcomes.append(try digest { try AgeFile.open(vector.file.span.bytes, passphrase: passphrase.span.bytes) })
    }
    for outcome in outcomes {
      switch outcome {
      case .success(let digest):
        #expect(vector.expectation == .success)
        #expect(digest == vector.payloadDigest)
      case .failure(let error):
        #expect(error.expectation == vector.expectation, "\(error.code): \(error)")
      }
    }
  }

  @Test("opening a binary file piece by piece gives the same result", arguments: Vector.names)
  func streaming(_ name: String) throws {
    let vector = try Vector(named: name)
    guard !vector.identities.isEmpty, !vector.isArmored, vector.expectation != .armorFailure else { return }
    let identities = try vector.identities.map { try AgeIdentity(decoding: Array($0.utf8).span.bytes) }
    for step in [1 << 20, 1_000] {
      do {
        let plaintext = try openedInPieces(vector.file, step, identities)
        #expect(vector.expectation == .success)
        #expect(hex(SHA256.hash(plaintext).bytes) == vector.payloadDigest)
      } catch let error as AgeError {
        #expect(error.expectation == vector.expectation, "\(error.code): \(error)")
      }
    }
  }

  @Test("a file that opens is encoded again byte for byte", arguments: Vector.names)
  func reencoding(_ name: String) throws {
    let vector = try Vector(named: name)
    guard vector.expectation == .success else { return }
    let binary = vector.isArmored ? try Armor.decode(vector.file.span.bytes) : vector.file
    let header = try Header(parsing: binary.span.bytes)
    let fileKey = try SecretBytes(copying: vector.fileKey.span.bytes)
    #expect(try Header.encode(header.stanzas, fileKey: fileKey) == Array(binary[..<header.size]))
    let nonce = Array(binary[header.size..<(header.size + Payload.nonceSize)])
    let payload = binary[header.size...]
    let plaintext = try Payload.open(Array(payload).span.bytes, fileKey: fileKey)
    let sealed = try Payload.seal(
      plaintext.bytes, fileKey: fileKey, randomness: Randomness { $0.copyBytes(from: nonce) })
    #expect(sealed == Array(payload))
    #expect(try Armor.decode(Armor.encode(binary).span.bytes) == binary)
  }

  @Test("every file has a known expectation, and all are counted")
  func counts() throws {
    var counts: [Vector.Expectation: Int] = [:]
    for name in Vector.names { counts[try Vector(named: name).expectation, default: 0] += 1 }
    let total = counts.values.reduce(0, +)
    #expect(total > 0 && total == Vector.names.count)
    let summary = Vector.Expectation.allCases.map { "\($0.rawValue) \(counts[$0, default: 0])" }
    print("age vectors: \(total) files (\(summary.joined(separator: ", ")))")
  }

  private func digest(_ open: () throws -> SecretBytes) throws -> Result<String, AgeError> {
    do {
      let plaintext = try open()
      var hasher = SHA256()
      hasher.update(plaintext.bytes)
      return .success(hex(hasher.finalize().bytes))
    } catch let error as AgeError {
      return .failure(error)
    }
  }
}

extension AgeError {
  /// The suite's word for this failure, if it has one.
  var expectation: Vector.Expectation? {
    switch code {
    case .malformedArmor: .armorFailure
    case .notAnAgeFile, .unsupportedVersion, .malformedHeader, .workFactorOutOfRange: .headerFailure
    case .headerNotAuthentic: .hmacFailure
    case .corruptPayload: .payloadFailure
    case .noMatchingIdentity, .wrongPassphrase: .noMatch
    case .tooLarge, .malformedRecipient, .malformedIdentity, .nothingToSealTo: nil
    }
  }
}
