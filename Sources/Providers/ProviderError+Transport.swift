import Rotation
import Transport

extension ProviderError {
  /// libcurl's CURLE_PARTIAL_FILE: the answer ended before the length it announced.
  private static let partialFile = 18

  /// Classifies a failure of the transport.
  init(_ error: TransportError) {
    switch error.code {
    case .insecureURL:
      self.init(.configuration, error.description, hint: "use an https URL", step: .settings)
    case .invalidRequest:
      self.init(
        .configuration, error.description,
        hint: "a token, or a setting that is sent beside it, has characters that no header can have", step: .settings)
    case .libraryMissing:
      self.init(
        .configuration, error.description, hint: "install libcurl 4 (Debian: apt-get install libcurl4)",
        step: .host)
    case .tls:
      // The request may have been sent: if its connection died, libcurl makes a handshake on another one before it asks
      // whether it may send again.
      self.init(
        .unreachable, error.description, hint: "check the host name, this machine's clock and its CA certificates",
        mayHaveActed: error.mayHaveActed, step: .tls)
    case .answerTooLarge, .protocolViolation:
      self.init(.malformed, error.description, mayHaveActed: error.mayHaveActed, step: .host)
    case .lost where error.curlCode == Self.partialFile:
      self.init(.malformed, error.description, mayHaveActed: error.mayHaveActed, step: .host)
    case .lost, .cannotConnect, .outOfResources, .cancelled:
      self.init(
        .unreachable, error.description, hint: "check the network and the host; run the same command again",
        mayHaveActed: error.mayHaveActed, step: .host)
    }
  }
}
