import JSON
import Sodium
import Vault

extension Pair {
  private static let hint = #"expected one object: {"client_id":"…","client_secret":"…"}"#

  /// Reads a pair as JSON from standard input. Throws `corruptData` if it is not one.
  static func ofStandardInput() throws -> Pair {
    do {
      let input = try PrivateFile.readAll(0, limit: 1 << 16, "standard input")
      let pair = try Pair(reading: SharedSecret(input).withoutMark())
      // Checked only here: what a vault already has is read in any case.
      if let token = pair.registrationToken { try Pair.check(token: token.secret, "registration_access_token") }
      return pair
    } catch let error as JSONError {
      throw Failure(.corruptData, "standard input is not a pair: \(error)", hint: hint)
    } catch let error as VaultError where error.code == .invalidInput {
      throw Failure(.corruptData, "standard input is not a pair: \(error)", hint: hint)
    }
  }
}
