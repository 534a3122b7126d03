package import Rotation
package import Transport
import Vault

extension ChecklistStep {
  /// The program that speaks for the system is allowed, starts, and follows its contract.
  package static let program: Self = "program"
}

extension CommandProvider {
  /// Only if pairs are proved without the program.
  package static func publicPage(_ settings: [String: String]) throws(ProviderError) -> Endpoint? {
    try settings["token-url"].map { _ throws(ProviderError) in try Endpoint(setting: "token-url", of: settings) }
  }

  package static var ownSteps: [(step: ChecklistStep, done: String)] {
    [(.program, "the program is allowed on this machine, and answers as its contract says")]
  }
}
