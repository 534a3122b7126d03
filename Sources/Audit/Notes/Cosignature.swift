import Sodium
import Storage

/// A witness's statement that at some time a checkpoint was the largest one it had seen of this log, and that the
/// checkpoint extends all that it had seen before (c2sp.org/tlog-cosignature, Ed25519).
package struct Cosignature: Hashable, Sendable {
  /// By the witness's clock, in seconds since 1970.
  package let time: UInt64

  /// The time as a moment; one beyond the last moment that can be written becomes that one.
  package var moment: Timestamp { Timestamp(milliseconds: Int64(clamping: min(time, 1 << 40) * 1000)) }

  /// What is signed: two lines, and the checkpoint's text.
  static func message(_ text: String, time: UInt64) -> [UInt8] { Array("cosignature/v1\ntime \(time)\n\(text)".utf8) }

  /// The signature line with which a witness answers: of `key`, whose public half is `witness`, over the checkpoint's
  /// `text`.
  static func signature(over text: String, time: UInt64, by witness: WitnessKey, key: SigningKey)
    -> SignedNote.Signature
  {
    SignedNote.Signature(
      name: witness.name, keyID: witness.id,
      bytes: time.bigEndianBytes + key.sign(message(text, time: time)))
  }
}

extension SignedCheckpoint {
  /// The most bytes that an answer with cosignatures may have: about a hundred lines.
  package static let maximumAnswerLength = 16 * 1024

  /// The newest cosignature of `key`; nil if no line claims to be of it. Throws `badSignature` if a line that does is
  /// not a valid cosignature of this very checkpoint.
  package func cosignature(by key: WitnessKey) throws(AuditError) -> Cosignature? {
    try newestCosignature(by: key)?.statement
  }

  private func newestCosignature(
    by key: WitnessKey
  ) throws(AuditError) -> (statement: Cosignature, line: SignedNote.Signature)? {
    var newest: (statement: Cosignature, line: SignedNote.Signature)?
    for line in note.signatures where line.keyID == key.id && line.name.utf8.elementsEqual(key.name.utf8) {
      // A timestamp of 8 bytes, then the signature. Anything above 2^63 - 1 is no timestamp.
      guard line.bytes.count == 8 + SigningKey.signatureSize,
        let time = UInt64(bigEndianBytes: Array(line.bytes[..<8])),
        time <= UInt64(Int64.max),
        key.key.isValid(Array(line.bytes[8...]), of: Cosignature.message(note.text, time: time))
      else {
        throw AuditError(
          .badSignature, "the cosignature of \"\(key.name)\" with key \(key.id.hex) is not one of this checkpoint")
      }
      if newest.map({ $0.statement.time < time }) ?? true { newest = (Cosignature(time: time), line) }
    }
    return newest
  }

  /// This checkpoint with the newest cosignature of `key` in a witness's `answer` (lines of C2SP signed-note), which
  /// replaces those it had of that key. Lines of other keys are left out, as c2sp.org/tlog-witness asks.
  ///
  /// Throws `malformed` if the answer is anything but such lines, `unknownSigner` if none is of `key`, and
  /// `badSignature` as `cosignature(by:)` does.
  package func cosigned(by key: WitnessKey, answer: [UInt8]) throws(AuditError) -> SignedCheckpoint {
    guard !answer.isEmpty, answer.count <= Self.maximumAnswerLength else {
      throw AuditError(
        .malformed,
        "a witness answered with \(answer.count) bytes, expected 1 to \(Self.maximumAnswerLength) of cosignatures"
      )
    }
    // Read as the note that the spec says it completes. With an empty line in the answer, that note's text would be
    // another.
    let answered = try SignedCheckpoint(decoding: Array((note.text + "\n").utf8) + answer)
    guard answered.note.text.utf8.elementsEqual(note.text.utf8) else {
      throw AuditError(.malformed, "a witness answered with an empty line")
    }
    guard let newest = try answered.newestCosignature(by: key) else {
      throw AuditError(.unknownSigner, "the witness's answer has no cosignature of \"\(key.name)\" \(key.id.hex)")
    }
    let others = note.signatures.filter { $0.keyID != key.id || !$0.name.utf8.elementsEqual(key.name.utf8) }
    return SignedCheckpoint(checkpoint, SignedNote(text: note.text, signatures: others + [newest.line]))
  }

  /// This checkpoint with the signature lines it lacks of those `others` that have the same text. None is verified.
  package func adding(signaturesOf others: [SignedCheckpoint]) -> SignedCheckpoint {
    var signatures = note.signatures
    for other in others where other.note.text.utf8.elementsEqual(note.text.utf8) {
      signatures += other.note.signatures.filter { !signatures.contains($0) }
    }
    return SignedCheckpoint(checkpoint, SignedNote(text: note.text, signatures: signatures))
  }

  /// This checkpoint with only the lines of `keys`; nil if there is none.
  package func only(_ keys: [WitnessKey]) -> SignedCheckpoint? {
    let signatures = note.signatures.filter { line in
      keys.contains { line.keyID == $0.id && line.name.utf8.elementsEqual($0.name.utf8) }
    }
    return signatures.isEmpty
      ? nil : SignedCheckpoint(checkpoint, SignedNote(text: note.text, signatures: signatures))
  }
}

/// The requests and answers of c2sp.org/tlog-witness other than cosignatures.
package enum WitnessExchange {
  /// The body of an `add-checkpoint` request: the size that the witness knows, the proof from there, and the
  /// checkpoint.
  package static func request(_ proof: ConsistencyProof, _ checkpoint: SignedCheckpoint) -> [UInt8] {
    let lines = ["old \(proof.first)"] + proof.path.map { $0.bytes.base64 }
    return Array((lines.joined(separator: "\n") + "\n\n").utf8) + checkpoint.bytes
  }

  /// The size that the witness says it knows, in the body of a 409 of type `text/x.tlog.size`. Throws `malformed`.
  package static func size(_ body: [UInt8]) throws(AuditError) -> UInt64 {
    guard body.count <= 21, body.last == 0x0A, let text = String(validating: body.dropLast(), as: UTF8.self),
      let size = strictDecimal(text)
    else { throw AuditError(.malformed, "a witness's size: expected a decimal number and a newline") }
    return size
  }
}
