import CSodium
import FoundationEssentials

/// `signature` of a token answer: base64 of HMAC-SHA-256 over the identity URL followed by `issued_at`, keyed with the
/// client secret.
enum TokenSignature {
  static func make(identityURL: String, issuedAt: String, secret: String) -> String {
    // The state API, because `crypto_auth_hmacsha256` itself takes only keys of 32 bytes.
    var state = crypto_auth_hmacsha256_state()
    let key = Array(secret.utf8)
    let message = Array((identityURL + issuedAt).utf8)
    var digest = [UInt8](repeating: 0, count: Int(crypto_auth_hmacsha256_BYTES))
    crypto_auth_hmacsha256_init(&state, key, key.count)
    crypto_auth_hmacsha256_update(&state, message, UInt64(message.count))
    crypto_auth_hmacsha256_final(&state, &digest)
    return Data(digest).base64EncodedString()
  }
}
