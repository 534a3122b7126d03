import JSON

/// A local error whose description is complete on its own and that says what to do about it.
package protocol AdvisingError: Error, CustomStringConvertible {
  var hint: String { get }
}

/// Why a provider did not do what was asked, classified by what the engine and the operator can do about it.
///
/// Texts are ours: never a response body, a header or a secret.
package struct ProviderError: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Code: String, Sendable {
    /// The pair itself is refused: unknown client, wrong secret.
    case refused
    /// A set-up step is missing at the provider; the hint names it.
    case configuration
    /// The account behind the pair is not allowed: inactive, locked, or outside its addresses or hours.
    case principal
    /// The administering token may not do this; the hint names the permission.
    case notPermitted = "not-permitted"
    /// Could not be reached, or has trouble of its own; it did not act.
    case unreachable
    /// Too many requests; it did not act.
    case limited
    /// The answer is not one that this kind of provider gives.
    case malformed
    /// The object of the request is not there.
    case notFound = "not-found"
    /// The place for a staged pair is taken.
    case occupied
    /// A person must do or decide something, and nobody is there, or they declined. It did not act.
    case operatorNeeded = "operator-needed"
  }

  package let code: Code
  package let description: String
  package let hint: String?
  /// Whether the provider may have acted anyway, because the answer was lost and not the request.
  package let mayHaveActed: Bool
  /// HTTP status of the answer, if there was one.
  package let status: Int?
  /// How long the provider asked to be left alone.
  package let retryAfter: Duration?
  /// The local error, from before anything was requested, if the vault did not give the pair to ask with. The engine
  /// throws it as it is, because no provider was involved.
  package let local: (any Error)?
  /// The step of its guide that it reports missing; nil if the error does not show that.
  package let step: ChecklistStep?

  package init(
    _ code: Code, _ description: String, hint: String? = nil, mayHaveActed: Bool = false, status: Int? = nil,
    retryAfter: Duration? = nil, local: (any Error)? = nil, step: ChecklistStep? = nil
  ) {
    self.step = step
    self.code = code
    self.description = description
    self.hint = hint
    self.mayHaveActed = mayHaveActed
    self.status = status
    self.retryAfter = retryAfter
    self.local = local
  }

  /// Local errors are compared by their description.
  package static func == (left: Self, right: Self) -> Bool {
    left.code == right.code && left.description == right.description && left.hint == right.hint
      && left.mayHaveActed == right.mayHaveActed && left.status == right.status && left.retryAfter == right.retryAfter
      && (left.local == nil) == (right.local == nil)
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(code)
    hasher.combine(description)
  }

  /// A run waits at most this long for a provider that asks to be left alone; a longer wait is left to the next run.
  static let maximumWait = Duration.seconds(300)

  /// Whether asking again in this run may succeed without an operator changing anything.
  package var isTransient: Bool { (code == .unreachable || code == .limited) && !exceedsRun }

  /// Whether the provider asked to be left alone for longer than a run waits, or acted in a way that a person must look
  /// at.
  var exceedsRun: Bool { retryAfter ?? .zero > Self.maximumWait || code == .configuration && mayHaveActed }
}

extension ProviderError {
  /// The members of a journal entry: never a body.
  var members: [String: JSONValue] {
    var members: [String: JSONValue] = ["reason": .string(code.rawValue), "detail": .string(description)]
    if let status { members["status"] = .integer(status) }
    if let retryAfter { members["retry_after"] = .integer(Int(clamping: retryAfter.components.seconds)) }
    return members
  }
}
