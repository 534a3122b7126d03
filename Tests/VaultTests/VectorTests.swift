import Age
import Contracts
import Sodium
import Testing

@testable import Vault

/// `vault/vectors`: made from fixed seeds and compared byte for byte, then read as a second implementation would.
@Suite(.serialized) struct VectorTests {
  private static let vault = Identifier(drawnFrom: .seeded("vector vault"))
  private static let credential = Identifier(drawnFrom: .seeded("vector credential"))
  private static let key = Randomness.seeded("vector key").bytes(32)

  // MARK: - Sealed records

  private static func sealed(_ plaintext: [UInt8], _ purpose: SealedRecord.Purpose) throws -> [UInt8] {
    try SealedRecord.seal(
      plaintext.span.bytes, key: key.span.bytes, purpose: purpose, vault: vault, randomness: .seeded("vector nonce"))
  }

  private static func sealedRecords() throws -> [String: VectorFile] {
    let pair = Array(#"{"client_id":"3MVG9","client_secret":"quote \" backslash \\ é"}"#.utf8)
    let good = try sealed(pair, .pair(credential, version: 1))
    let managed = Array(
      #"{"client_id":"3MVG9","client_secret":"s","registration_access_token":"quote \" backslash \\ é"}"#.utf8)
    let wrapped = Randomness.seeded("vector credential key").bytes(32)
    func vector(
      _ expect: String, _ record: [UInt8], _ purpose: String, vault: Identifier = vault, plaintext: [UInt8] = []
    ) -> VectorFile {
      VectorFile(
        ["expect": expect, "key": key.hex, "vault": vault.description, "purpose": purpose, "plaintext": plaintext.hex],
        record)
    }
    let purpose = "pair \(credential) 1"
    let other = Identifier(drawnFrom: .seeded("another"))
    return [
      "pair": vector("valid", good, purpose, plaintext: pair),
      "pair-with-registration-token": vector(
        "valid", try sealed(managed, .pair(credential, version: 1)), purpose, plaintext: managed),
      "credential-key": vector(
        "valid", try sealed(wrapped, .credentialKey(credential)), "credential-key \(credential)", plaintext: wrapped),
      "empty": vector("valid", try sealed([], .pair(credential, version: 1)), purpose),
      "another-version": vector("corrupt", good, "pair \(credential) 2"),
      "another-credential": vector("corrupt", good, "pair \(other) 1"),
      "another-vault": vector("corrupt", good, purpose, vault: other),
      "another-purpose": vector("corrupt", good, "credential-key \(credential)"),
      "changed-tag": vector("corrupt", good.dropLast() + [(good.last ?? 0) ^ 1], purpose),
      "changed-nonce": vector("corrupt", [good[0], good[1] ^ 0x80] + good[2...], purpose),
      "cut-off": vector("corrupt", Array(good[..<40]), purpose),
      "format-2": vector("corrupt", [2] + good.dropFirst(), purpose),
    ]
  }

  @Test func sealedRecordsAreWhatTheSeedsGive() throws {
    for (name, vector) in try Self.sealedRecords() {
      try VectorFile.compare(vector.text, with: "vectors/sealed-record/\(name).txt")
    }
  }

  @Test func everySealedRecordOpensAsItSays() throws {
    for (name, vector) in try VectorFile.all(in: "sealed-record") {
      let words = try vector["purpose"].split(separator: " ").map(String.init)
      let credential = try #require(Identifier(words[1]))
      let purpose: SealedRecord.Purpose =
        words[0] == "pair" ? .pair(credential, version: try #require(UInt64(words[2]))) : .credentialKey(credential)
      let key = try #require([UInt8](hex: vector["key"]))
      let vault = try #require(Identifier(vector["vault"]))
      if try vector["expect"] == "valid" {
        let found = try SealedRecord.open(vector.bytes, key: key.span.bytes, purpose: purpose, vault: vault)
        #expect(found.withUnsafeBytes { Array($0) }.hex == (try vector["plaintext"]), "\(name)")
        // The empty one is not a pair, but it is still a record.
        guard words[0] == "pair", found.count > 0 else { continue }
        let pair = try Pair(reading: SharedSecret(found)).sealedDocument()
        #expect(pair.withUnsafeBytes { Array($0) }.hex == (try vector["plaintext"]), "\(name)")
      } else {
        #expect(throws: VaultError(.corrupt, ""), "\(name)") {
          _ = try SealedRecord.open(vector.bytes, key: key.span.bytes, purpose: purpose, vault: vault)
        }
      }
    }
  }

  // MARK: - Identities

  private static func identities() throws -> [String: VectorFile] {
    var vectors: [String: VectorFile] = [:]
    for name in ["alice", "bob"] {
      let identity = try Identity(AgeIdentity(generating: .seeded("vector \(name)")))
      let scalar = identity.age.withScalar { scalar in
        (0..<32).map { scalar.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
      }
      let seed = try HKDFSHA256.derive(inputKey: scalar.span.bytes, salt: [], info: "relatch/v1/signing-key")
      let text = try identity.age.encoded()
      vectors[name] = VectorFile(
        [
          "expect": "valid", "scalar": scalar.hex, "recipient": identity.age.recipient.description,
          "seed": seed.withUnsafeBytes { Array($0) }.hex, "signing": identity.signingKey.verifyingKey.bytes.base64,
        ], text.withUnsafeBytes { Array($0) } + [0x0A])
    }
    return vectors
  }

  @Test func identitiesAreWhatTheSeedsGive() throws {
    for (name, vector) in try Self.identities() {
      try VectorFile.compare(vector.text, with: "vectors/identity/\(name).txt")
    }
  }

  @Test func everyIdentityDerivesAsItSays() throws {
    for (name, vector) in try VectorFile.all(in: "identity") {
      let file = try AgeIdentityFile(decoding: vector.bytes.span.bytes)
      let identity = try Identity(try #require(file.identities.first))
      #expect(identity.age.recipient.description == (try vector["recipient"]), "\(name)")
      #expect(identity.signingKey.verifyingKey.bytes.base64 == (try vector["signing"]), "\(name)")
    }
  }

  // MARK: - Key names

  @Test func keyNamesAreWhatTheSeedsGive() throws {
    for (name, seed) in [("one", "vector key"), ("two", "another vector key")] {
      let bytes = Randomness.seeded(seed).bytes(32)
      let secret = try SecretBytes(copying: bytes.span.bytes)
      let asCredential = try VaultKey.id(ofCredentialKey: secret)
      let asVault = try VaultKey(secret).id
      try VectorFile.compare(
        VectorFile(["expect": "valid", "vault-key-id": asVault, "credential-key-id": asCredential], bytes).text,
        with: "vectors/key-id/\(name).txt")
    }
  }
}
