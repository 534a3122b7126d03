package import Audit
package import Rotation
package import Transport
package import Vault

/// What a checklist is looked at with: one credential as the vault has it, and whom to ask.
package struct ChecklistSubject: Sendable {
  package let credential: Credential
  /// What the vault has of it, its opened pairs and its journal.
  package let preflight: RotationPreflight
  /// Whose token drives its rotation; nil if the vault was not opened, or does not have it any more.
  package let admin: AdminAccess?
  /// The step because of which its pairs are not there; nil if they are.
  package let withheld: ChecklistStep?
  /// Whether nobody is to be asked.
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
  /// Why nothing was asked, where nothing was to be.
  static let offline: Self = "--offline"
  /// The grant that is asked for is allowed.
  static let flow: Self = "flow"
  /// The token has the scopes that it needs.
  static let scopes: Self = "scopes"
  /// The account behind the client may log in from here.
  static let login: Self = "login"
}

extension ProviderError {
  /// Which step is missing, where `admin` was told this: what concerns everybody is what it is, all else is the
  /// administrator's.
  func step(of admin: AdminAccess) -> ChecklistStep? {
    guard !admin.isSelf, let step else { return step }
    let everybodys: [ChecklistStep] = [.settings, .url, .host, .tls, .limits, .org]
    return everybodys.contains(step) ? step : .admin
  }

  /// The same without the words that say where it was met, which stand in another line of the list.
  var shortened: ProviderError {
    guard description.hasPrefix("token endpoint of "), let colon = description.firstRange(of: ": ") else { return self }
    return ProviderError(
      code, String(description[colon.upperBound...]), hint: hint, status: status, retryAfter: retryAfter, local: local,
      step: step)
  }
}

extension Checklist {
  /// Whether a request that failed for want of `step` shows that the administrator was granted a token before: it was
  /// understood. What everybody is told may have been said to the token's request already.
  static func tellsOfToken(_ step: ChecklistStep) -> Bool {
    [.permissions, .restSwitch, .app, .primary, .slot].contains(step)
  }

  /// Asks `page`, which is for everybody, and notes what that shows of the connection and the clocks; nil if no answer came,
  /// or one of a server in trouble: then what is left to look at is because of that.
  mutating func reach(_ page: Endpoint, _ subject: ChecklistSubject) async -> HTTPResponse? {
    let asked = subject.now()
    let response: HTTPResponse
    do {
      response = try await subject.transport.send(
        HTTPRequest(.get, page, headers: [("Accept", "application/json")]))
    } catch {
      let sorted = ProviderError(error)
      if sorted.step == .tls { pass(.host, "\(page.host) is reached") }
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
        mend: "the provider's status page tells of incidents; run the same command again later", concern: .reach)
      leave(because: .host)
      return nil
    }
    pass(.host, "\(page.host) answers")
    return response
  }

  /// Notes how far the clocks are apart, by an answer that tells the provider's time.
  mutating func noteClock(_ theirs: Timestamp, asked: Timestamp, answered: Timestamp) {
    let difference = ClockDifference(theirs, asked: asked, answered: answered)
    if difference.duration < ClockDifference.notable {
      pass(.clock, difference.text)
    } else {
      miss(.clock, difference.text, mend: ClockDifference.hint)
    }
  }
}
