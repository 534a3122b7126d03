package import Rotation
import Sodium
import Vault

// Programs that act for a provider are started like hooks: no shell, the same environment, the same trust in the file.
// Their standard output is an answer, and is kept apart.
extension HookRunner: ProgramHost {
  /// Fails with `unusable` if the file is obviously not a program, or is not to be trusted. Runs nothing.
  package func requireTrusted(_ arguments: [String]) throws(DeliveryError) { try check(arguments.first ?? "") }

  package func run(_ call: ProgramCall) async throws(ProviderError) -> ProgramEnding {
    let program = Name.printable(call.arguments.first ?? "")
    do {
      try check(call.arguments.first ?? "")
      let process = try HookProcess(
        call.arguments, environment: environment, input: call.input, masking: call.masking, mask: mask,
        maximumAnswerSize: ProgramCall.maximumOutputSize)
      let (ending, ended) = try await watch(process, limit: call.limit) {}
      if ended != nil, Task.isCancelled { throw CancellationError() }
      return ProgramEnding(
        ending.cause(isOverdue: ended != nil),
        output: try ending.answer ?? SharedSecret(SecretBytes(capacity: 0) { _ in }),
        said: OutputCapture.line(ending.said))
    } catch let error as DeliveryError {
      // An error thrown after the start means that nobody watched the program to its end.
      let hasRun = error.code == .failed
      throw ProviderError(
        hasRun ? .malformed : .configuration, "\(error)",
        hint: hasRun ? nil : "check that \(program) is the intended program",
        mayHaveActed: hasRun)
    } catch {
      throw ProviderError(.malformed, "\(program) was not watched to its end: \(error)", mayHaveActed: true)
    }
  }
}

extension HookProcess.Ending {
  fileprivate func cause(isOverdue: Bool) -> ProgramEnding.Cause {
    if isTooLong { return .tooLong }
    if isOverdue { return .timeLimit }
    guard let status else { return .unknown }
    let signal = status & 0x7F
    return signal == 0 ? .exit(Int((status >> 8) & 0xFF)) : .signal(Int(signal))
  }
}
