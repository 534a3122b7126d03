package import Sodium
package import Vault

/// Starts programs that act for a provider, as far as they may run on this machine.
package protocol ProgramHost: Sendable {
  /// Runs a program to its end. Fails with `notPermitted` if it is not allowed here, and `configuration` if it cannot
  /// be started; in both cases nothing ran.
  func run(_ call: ProgramCall) async throws(ProviderError) -> ProgramEnding
}

/// One start of a program.
package struct ProgramCall: Sendable {
  /// The program's absolute path, and its arguments.
  package let arguments: [String]
  /// What it gets on standard input.
  package let input: SharedSecret
  /// The program is ended after this time.
  package let limit: Duration
  /// The pairs that are masked in its output.
  package let masking: [Pair]

  /// The most that it may write to standard output, in bytes; a program that writes more is ended.
  package static let maximumOutputSize = 1 << 16

  package init(_ arguments: [String], input: SharedSecret, limit: Duration, masking: [Pair]) {
    self.arguments = arguments
    self.input = input
    self.limit = limit
    self.masking = masking
  }
}

/// How a program ended, and what it wrote.
package struct ProgramEnding: Sendable {
  package enum Cause: Hashable, Sendable {
    case exit(Int)
    case signal(Int)
    /// It was ended because it exceeded its time limit.
    case timeLimit
    /// It was ended because it wrote too much.
    case tooLong
    /// Nobody knows.
    case unknown
  }

  package let cause: Cause
  /// Its standard output.
  package let output: SharedSecret
  /// The end of its standard error, masked, on one line. Secrets that the masking was not given are not masked.
  package let said: String

  package init(_ cause: Cause, output: SharedSecret, said: String) {
    self.cause = cause
    self.output = output
    self.said = said
  }
}
