import Audit
import OAuth
import Rotation
import Sodium
import Transport
import Vault

extension Endpoint {
  /// A fresh token for `pair`, every time, from the org at this My Domain.
  func token(
    _ pair: Pair, over transport: any HTTPTransport, overNewConnection: Bool = false
  ) async throws(ProviderError) -> TokenAnswer {
    do {
      let request = try TokenRequest(clientID: pair.clientID, clientSecret: pair.clientSecret, by: .body)
      return try await TokenEndpoint(at(SalesforceProvider.tokenPath), over: transport)
        .grant(request, overNewConnection: overNewConnection)
    } catch let error as OAuthError {
      throw ProviderError(error, host: host)
    } catch {
      throw ProviderError(.malformed, "the token request could not be made")
    }
  }
}

extension GrantEvidence {
  /// What a Salesforce org's `answer` to `pair` proves.
  init(_ answer: TokenAnswer, under pair: Pair, probe: Int? = nil, remarks: [String] = []) {
    self.init(
      status: answer.status, signature: Self.signature(of: answer, under: pair),
      providerTime: answer.date.flatMap { Timestamp(httpDate: $0) }
        ?? answer.text("issued_at").flatMap { Int64($0) }.map { Timestamp(milliseconds: $0) },
      probe: probe, remarks: remarks)
  }

  /// `signature` is base64(HMAC-SHA-256(client_secret, id + issued_at)). Whether the answer to a staged set is signed
  /// with its own secret is not documented. So a mismatch is recorded in the log and decides nothing.
  private static func signature(of answer: TokenAnswer, under pair: Pair) -> Signature {
    guard let text = answer.text("signature"), let id = answer.text("id"), let issuedAt = answer.text("issued_at")
    else {
      return .absent
    }
    guard let code = [UInt8](base64: text) else { return .mismatch }
    let isValid = pair.clientSecret.withBytes { key in
      HMACSHA256.isValid(code, of: Array(id.utf8), Array(issuedAt.utf8), key: key)
    }
    return isValid ? .valid : .mismatch
  }
}
