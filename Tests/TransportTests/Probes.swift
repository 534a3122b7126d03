import Sodium
import Testing
import Transport

extension HTTPResponse {
  var text: String { body.secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
}

func secret(_ text: String) throws -> SharedSecret {
  SharedSecret(try SecretBytes(copying: Array(text.utf8).span.bytes))
}

/// The error of a request that must fail.
func failure(_ transport: CurlTransport, _ request: HTTPRequest) async throws -> TransportError {
  do {
    let response = try await transport.send(request)
    throw UnexpectedAnswer(status: response.status)
  } catch let error as TransportError {
    return error
  }
}

struct UnexpectedAnswer: Error { let status: Int }

func get(_ url: String) throws -> HTTPRequest { HTTPRequest(.get, try Endpoint(url)) }

/// A port on which nobody listens: one that was just closed.
func freePort() throws -> Int { try ScriptedServer { _ in }.port }
