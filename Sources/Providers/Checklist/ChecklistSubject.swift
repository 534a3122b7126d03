package import Audit
package import Rotation
package import Transport
package import Vault

/// What a checklist is made from: one credential as the vault has it, and the means to ask its provider.
package struct ChecklistSubject: Sendable {
  package let credential: Credential
  /// What the vault has of it: its opened pairs and its journal.
  package let preflight: RotationPreflight
  /// The administrator whose token drives its rotation; nil if the vault was not opened, or no longer has it.
  package let admin: AdminAccess?
  /// The step that keeps its pairs from being available; nil if they are.
  package let withheld: ChecklistStep?
  /// Whether no request may be sent.
  package let isOffline: Bool
  package let transport: any HTTPTransport
  package let now: @Sendable () -> Timestamp

  package init(
    credential: Credential, preflight: RotationPreflight, admin: AdminAccess?, withheld: ChecklistStep?,
    isOffline: Bool, transport: any HTTPTransport, now: @escaping @Sendable () -> Timestamp
  ) {
    self.credential = credential
    self.preflight = preflight
    self.admin = admin
    self.withheld = withheld
    self.isOffline = isOffline
    self.transport = transport
    self.now = now
  }

  var settings: [String: String] { credential.settings }
}

extension ChecklistStep {
  /// The reason why nothing was asked: `--offline`.
  static let offline: Self = "--offline"
  /// The client may use the requested grant.
  static let flow: Self = "flow"
  /// The token has the necessary scopes.
  static let scopes: Self = "scopes"
  /// The account behind the client may log in from here.
  static let login: Self = "login"
}

extension ProviderError {
  /// Which step is missing if `admin` got this error. A step that concerns everybody stays as it is; any other becomes
  /// the administrator's.
  func step(of admin: AdminAccess) -> ChecklistStep? {
    guard !admin.isSelf, let step else { return step }
    let sharedSteps: [ChecklistStep] = [.settings, .url, .host, .tls, .limits, .org]
    return sharedSteps.contains(step) ? step : .admin
  }

  /// The same error without the words that say where it happened, which another line of the list has.
  var shortened: ProviderError {
    guard description.hasPrefix("token endpoint of "), let colon = description.firstRange(of: ": ") else { return self }
    return ProviderError(
      code, String(description[colon.upperBound...]), hint: hint, status: status, retryAfter: retryAfter, local: local,
      step: step)
  }
}

extension Checklist {
  /// Whether a request that failed because of `step` shows that the administrator was granted a token before: only with
  /// a token does a request get that far. An error that everybody may get may have come from the token request.
  static func tellsOfToken(_ step: ChecklistStep) -> Bool {
    [.permissions, .restSwitch, .app, .primary, .slot].contains(step)
  }

  /// Requests `page`, which everybody may see, and notes what that shows about the connection and the clocks. Returns
  /// nil if there was no answer, or one from a server in trouble, and then leaves the remaining steps because of that.
  mutating func reach(_ page: Endpoint, _ subject: ChecklistSubject) async -> HTTPResponse? {
    let asked = subject.now()
    let response: HTTPResponse
    do {
      response = try await subject.transport.send(
        HTTPRequest(.get, page, headers: [("Accept", "application/json")]))
    } catch {
      let sorted = ProviderError(error)
      if sorted.step == .tls { pass(.host, "\(page.host) can be reached") }
      leave(because: blame(sorted))
      return nil
    }
    pass(
      .tls,
      page.isEncrypted
        ? "the certificate is trusted and for this name, and the protocol is TLS 1.2 or later"
        : "the server is this machine, where no TLS is needed")
    if let date = response.header("date").flatMap({ Timestamp(httpDate: $0) }) {
      noteClock(date, asked: asked, answered: subject.now())
    }
    guard response.status < 500 else {
      miss(
        .host, "\(page.host) is in trouble or under maintenance (HTTP \(response.status))",
        fix: "see the provider's status page for incidents, and run the same command again later", concern: .reach)
      leave(because: .host)
      return nil
    }
    pass(.host, "\(page.host) answers")
    return response
  }

  /// Notes how far apart the clocks are, from an answer that has the provider's time.
  mutating func noteClock(_ theirs: Timestamp, asked: Timestamp, answered: Timestamp) {
    let difference = ClockDifference(theirs, asked: asked, answered: answered)
    if difference.duration < ClockDifference.notable {
      pass(.clock, difference.text)
    } else {
      miss(.clock, difference.text, fix: ClockDifference.hint)
    }
  }
}
