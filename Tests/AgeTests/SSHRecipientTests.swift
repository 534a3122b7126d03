import Sodium
import Testing

@testable import Age

/// The tests of the commands show that Debian's `age` opens what is sealed to such a key.
@Suite struct SSHRecipientTests {
  private static let blob = "AAAAC3NzaC1lZDI1NTE5AAAAIDmMNVvp20+08BwSMTI2zLeDS83d3l0zjRQmpwR6QYh3"

  @Test func `a public key's line is read with its comment or without`() throws {
    for line in ["ssh-ed25519 \(Self.blob)", "ssh-ed25519 \(Self.blob) ana@example", "ssh-ed25519 \(Self.blob) a b "] {
      #expect(try SSHRecipient(line).description == "ssh-ed25519 \(Self.blob)")
    }
  }

  @Test(arguments: [
    "", "ssh-ed25519", "ssh-ed25519 ", " ssh-ed25519 \(blob)", "ssh-ed25519  \(blob)", "ssh-rsa \(blob)",
    "ssh-ed25519 \(blob.dropLast())", "ssh-ed25519 \(blob)=", "ssh-ed25519 AAAA", "SSH-ED25519 \(blob)",
    // A point of small order, and one that is on no curve.
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    // Another type in the wire's form.
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE4AAAAIDmMNVvp20+08BwSMTI2zLeDS83d3l0zjRQmpwR6QYh3",
  ])
  func `anything else is refused`(line: String) {
    #expect(throws: AgeError(.malformedRecipient, "")) { _ = try SSHRecipient(line) }
  }

  @Test func `a file sealed to one names no other, and none of our identities opens it`() throws {
    let recipient = try SSHRecipient("ssh-ed25519 \(Self.blob)")
    let plaintext = Array("for ana".utf8)
    let file = try AgeFile.seal(plaintext.span.bytes, to: recipient, randomness: .system, armored: false)
    let header = String(decoding: file.prefix(60), as: UTF8.self)
    #expect(header.hasPrefix("age-encryption.org/v1\n-> ssh-ed25519 "))
    let identity = try AgeIdentity(generating: .system)
    #expect(throws: AgeError(.noMatchingIdentity, "")) { _ = try AgeFile.open(file.span.bytes, with: [identity]) }
  }
}
