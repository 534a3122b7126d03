import ArgumentParser
import Sodium
import Testing

@testable import Audit
@testable import relatch

@Suite("Witnesses that a verifier names")
struct TrustedWitnessTests {
  private static let now = Timestamp(milliseconds: 1_795_253_000_000)

  private static func signingKey(_ name: String) throws -> SigningKey {
    let seed = SHA256.hash(Array(name.utf8)).bytes
    return try SigningKey(seed: seed.span.bytes)
  }

  /// A checkpoint that a witness signed at so many seconds from now, and the witness's key.
  private static func cosigned(after seconds: Int64, size: UInt64 = 7) throws -> (SignedCheckpoint, WitnessKey) {
    let key = try signingKey("w")
    let witness = try WitnessKey(name: "w", key: key.verifyingKey)
    let signed = try SignedCheckpoint(
      Checkpoint(origin: "relatch/00112233445566778899aabbccddeeff", size: size, root: SHA256.hash([])),
      key: signingKey("member"))
    let line = Cosignature.signature(
      over: signed.note.text, time: UInt64(now.milliseconds / 1000 + seconds), by: witness, key: key)
    let text = "— \(line.name) \((line.keyID + line.bytes).base64)\n"
    return (try signed.cosigned(by: witness, answer: Array(text.utf8)), witness)
  }

  @Test("vouch for the past and up to an hour ahead of the clock, but not for the future")
  func times() throws {
    let options = try TrustedWitnesses.parse([])
    for seconds in [-86_400, 0, 3600] as [Int64] {
      let (signed, key) = try Self.cosigned(after: seconds)
      let vouchers = try options.require([key], among: [signed], of: 9, now: Self.now)
      #expect(vouchers.map(\.size) == [7] && vouchers.map(\.unseen) == [2], "\(seconds)")
    }
    for seconds in [3601, 1 << 40] as [Int64] {
      let (signed, key) = try Self.cosigned(after: seconds)
      let failure = #expect(throws: Failure.self) {
        _ = try options.require([key], among: [signed], of: 9, now: Self.now)
      }
      #expect(failure?.code == .corruptData && failure?.message.contains("is in the future") == true, "\(seconds)")
    }
  }

  @Test("vouch for nothing with a checkpoint of no entries")
  func empty() throws {
    let (signed, key) = try Self.cosigned(after: 0, size: 0)
    #expect(throws: Failure.self) {
      _ = try TrustedWitnesses.parse([]).require([key], among: [signed], of: 9, now: Self.now)
    }
  }
}
