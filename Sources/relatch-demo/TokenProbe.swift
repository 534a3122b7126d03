import OAuth
import OrgSimulator
import Sodium
import Transport

/// Asks an org's token endpoint, as an integration would.
struct TokenProbe {
  let url: String

  func isGranted(_ pair: IssuedPair) async throws -> Bool {
    let transport = CurlTransport()
    let endpoint = TokenEndpoint(try Endpoint(url + "/services/oauth2/token"), over: transport)
    let request = try tokenRequest(pair)
    let isGranted: Bool
    do {
      _ = try await endpoint.grant(request)
      isGranted = true
    } catch {
      guard error.code == .answered else { throw DemoFailure(reason: error.description) }
      isGranted = false
    }
    await transport.shutdown()
    return isGranted
  }

  private func tokenRequest(_ pair: IssuedPair) throws -> TokenRequest {
    let key = Array(pair.key.utf8)
    let secret = Array(pair.secret.utf8)
    let clientID = try SecretBytes(copying: key.span.bytes)
    let clientSecret = try SecretBytes(copying: secret.span.bytes)
    return try TokenRequest(clientID: clientID, clientSecret: clientSecret, by: .body)
  }
}

extension IssuedPair {
  /// The JSON that `relatch add` reads.
  var document: String { #"{"client_id":"\#(key)","client_secret":"\#(secret)"}"# }
}
