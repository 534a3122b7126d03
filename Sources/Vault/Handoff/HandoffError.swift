/// A handoff or receipt that was refused, and why. It never has a byte of a pair.
package struct HandoffError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of refusal this is; equality and callers' branches look only at this.
  package enum Code: Sendable {
    /// Damaged, cut off, altered, or no handoff or receipt at all.
    case corrupt
    /// Of a newer version of the format.
    case unsupportedFormat
    /// Signed by somebody other than expected.
    case wrongSender
    /// For somebody else.
    case misaddressed
    /// It may no longer be imported.
    case expired
    /// It was imported into this vault before.
    case replayed
    /// This vault sent no such handoff.
    case unknown
    /// The credential is not in a state in which this can be done.
    case wrongState
  }

  package let code: Code
  package let description: String
  package let hint: String?

  package init(_ code: Code, _ description: String, hint: String? = nil) {
    self.code = code
    self.description = description
    self.hint = hint
  }

  package static func == (left: Self, right: Self) -> Bool { left.code == right.code }
}
