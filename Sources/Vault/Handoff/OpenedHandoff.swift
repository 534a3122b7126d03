import Age
import Audit
import JSON
import Sodium

/// A handoff that was opened by the one it is for, and whose sender's signature is valid. Nothing is imported yet.
package struct OpenedHandoff: Sendable {
  /// The greatest size of a file in bytes.
  package static let maximumFileSize = 1 << 20

  package let handoff: Handoff
  let pair: Pair

  /// Opens `file`. `sender` is the expected key, if there is one.
  ///
  /// Throws `HandoffError`: `misaddressed`, `corrupt`, `unsupportedFormat`, `wrongSender`. Whether it has expired or
  /// was imported before is decided when it is imported.
  init(_ file: RawSpan, by identity: Identity, from sender: VerifyingKey?) throws {
    let document: SecretBytes
    do { document = try AgeFile.open(file, with: [identity.age]) } catch let error as AgeError {
      guard error.code != .noMatchingIdentity else {
        throw HandoffError(
          .misaddressed, "the handoff is not sealed to this identity, \(identity.age.recipient)",
          hint: "it is for somebody else, or for another identity of yours: --identity FILE names one")
      }
      throw HandoffError(.corrupt, "the handoff is damaged: \(error)", hint: Self.damaged)
    }
    let signature: [UInt8]
    do { (handoff, pair, signature) = try HandoffDocument.decode(SharedSecret(document)) } catch let error
      where error is JSONError || error is AgeError || (error as? VaultError)?.code.isContentFault == true
    {
      throw HandoffError(.corrupt, "what was opened is not a handoff: \(error)", hint: Self.damaged)
    } catch let error as VaultError where error.code == .unsupportedFormat {
      throw HandoffError(.unsupportedFormat, "\(error)", hint: "use a newer relatch")
    }
    let statement = HandoffStatement.bytes(HandoffStatement.handoff, try HandoffDocument.digest(handoff, pair))
    guard handoff.sender.signing.isValid(signature, of: statement) else {
      throw HandoffError(
        .corrupt, "the handoff is not signed by \(handoff.sender.name), whom it names as its sender", hint: Self.damaged
      )
    }
    if let sender, sender != handoff.sender.signing {
      throw HandoffError(
        .wrongSender,
        "the handoff is signed by \(handoff.sender.signing.bytes.base64), and \(sender.bytes.base64) was expected",
        hint: "first ask the sender that you expected, over another channel")
    }
    guard handoff.recipient == identity.age.recipient.description else {
      throw HandoffError(
        .misaddressed,
        "the handoff was made for \(handoff.recipient), but somebody sealed it to \(identity.age.recipient)",
        hint: "ask \(handoff.sender.name) for one of your own: the intended recipient gave you this one")
    }
  }

  private static let damaged = "nothing was imported; ask the sender for another one"

  /// Throws `expired` unless it may be imported at `now`.
  func requireFresh(_ now: Timestamp) throws {
    guard now < handoff.expires else {
      throw HandoffError(
        .expired, "the handoff expired at \(handoff.expires), and it is \(now) here",
        hint: "ask \(handoff.sender.name) for another one; if it should not have expired, check this machine's clock")
    }
  }
}

extension VaultError.Code {
  /// Whether what was read is at fault.
  fileprivate var isContentFault: Bool { self == .corrupt || self == .invalidInput }
}
