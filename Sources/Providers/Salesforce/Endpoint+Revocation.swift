import JSON
import OAuth
import Rotation
import Sodium
import Transport

extension Endpoint {
  /// Ends `token` at this My Domain (RFC 7009; Salesforce help, "Revoke OAuth Tokens"). Succeeds also if it has already
  /// ended.
  func revoke(_ token: SharedSecret, over transport: any HTTPTransport) async throws(ProviderError) {
    let opening = Array("token=".utf8)
    let form: SecretBytes
    do {
      form = try token.secret.withBytes { bytes in
        try SecretBytes(capacity: opening.count + FormEncoding.capacity(of: bytes.byteCount)) { output in
          for byte in opening { output.append(byte) }
          FormEncoding.append(bytes, to: &output)
        }
      }
    } catch { throw ProviderError(.malformed, "there is no memory for a request") }
    let endpoint = try path("/services/oauth2/revoke")
    let answer = try await ManagementCall(transport: transport).ask(
      .post, endpoint, body: .form(SharedSecret(form)), isMutating: true)
    if (200..<300).contains(answer.status) { return }
    let error = (try? answer.json(mayHaveActed: false))?["error"]
    if answer.status == 400, answer.text(error) == "invalid_token" { return }
    throw ProviderError(status: answer.status, host: host, isMutating: true, retryAfter: answer.retryAfter)
  }
}
