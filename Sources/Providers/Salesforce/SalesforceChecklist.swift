import Audit
import JSON
import OAuth
import Rotation
import Sodium
import Transport
import Vault

extension ChecklistStep {
  /// The host is a My Domain.
  static let url: Self = "url"
  /// The org serves the version of its API that has staged credentials.
  static let version: Self = "version"
  /// The org is open, and its API is on.
  static let org: Self = "org"
  /// A Run As user is set and active.
  static let user: Self = "user"
  /// That user may use the app.
  static let approved: Self = "approved"
  /// The token is for the host that granted it.
  static let instance: Self = "instance"
  /// The answer is signed under the pair's secret.
  static let signature: Self = "signature"
  /// The token can read what the integration reads.
  static let probe: Self = "probe"
  /// The org shows consumer secrets over its REST API.
  static let restSwitch: Self = "switch"
}

/// The checklist of an app in a Salesforce org, however the app is rotated. It is made from the answers of the token
/// endpoint and of the Connect REST resources.
struct SalesforceChecklist {
  let subject: ChecklistSubject
  let domain: Endpoint
  /// The version of the API that its rotation needs; nil if it needs none.
  var apiVersion: String?
  /// The scopes that its guide asks for and that a token must name.
  var scopes = ["api"]
  /// A scope that its guide asks for and that this flow's answer may leave out.
  var quietScope: String?
  /// Reads what the integration reads; nil if the settings name nothing.
  var probe: (@Sendable (SharedSecret) async throws(ProviderError) -> String)?
  /// Whether only a person can see the slot.
  var isByHand = false
  /// Makes the provider that rotates it; nil if it is only used. Throws if its settings or its administrator's lack
  /// something.
  var provider: (@Sendable (AdminAccess) throws(ProviderError) -> any PrimaryReader)?

  init(_ subject: ChecklistSubject, at domain: Endpoint) {
    self.subject = subject
    self.domain = domain
  }

  /// The steps that a token grant shows, in the order of the guides.
  private static let grantSteps: [ChecklistStep] = [
    .org, .limits, .pair, .app, .flow, .user, .approved, .login, .scopes, .instance, .signature,
  ]

  private var steps: [ChecklistStep] {
    var steps: [ChecklistStep] = [.url, .host, .tls, .clock]
    if provider != nil { steps.append(.version) }
    steps += Self.grantSteps
    if probe != nil { steps.append(.probe) }
    if isByHand { steps.append(.slot) }
    guard provider != nil else { return steps }
    if !subject.credential.isSelfAdministered { steps.append(.admin) }
    return steps + [.permissions, .restSwitch, .primary, .slot]
  }

  /// The checklist for settings from which not even the org can be read.
  static func unreadable(_ error: ProviderError, _ fixes: [ChecklistStep: String]) -> Checklist {
    var list = Checklist([.url, .host, .tls, .clock] + grantSteps, fixes: fixes)
    let isOfApp = ["setting app", "setting consumer"].contains { error.description.hasPrefix($0) }
    list.leave(because: list.blame(error, otherwise: isOfApp ? .app : .url))
    return list
  }

  func examine(_ fixes: [ChecklistStep: String]) async -> Checklist {
    var list = Checklist(steps, fixes: fixes)
    noteForm(&list)
    if isByHand {
      list.leave(.slot, "only a person can see it: App Manager, the app, View, Manage Consumer Details")
    }
    guard !subject.isOffline else {
      list.leave(because: .offline)
      return list
    }
    let page: Endpoint
    do { page = try domain.at("/services/data") } catch {
      list.leave(because: list.blame(ProviderError(error)))
      return list
    }
    // Everybody may see the list of versions.
    guard let versions = await list.reach(page, subject) else { return list }
    noteVersion(versions, &list)
    if let withheld = subject.withheld {
      list.leave(because: withheld)
      return list
    }
    let refused = await examineGrant(&list)
    // A host that is not an org has no clock and no API versions to check.
    if refused == .url { list.leave([.clock, .version], because: .url) }
    list.leave(.clock, "the org does not report its time")
    if provider != nil { list.leave(.version, "\(domain.host) does not list the versions of its API") }
    if let provider { await examineManagement(provider, refused: refused, &list) }
    var cause = refused
    // The pair is refused because it was replaced elsewhere.
    if refused == .pair, list.verdict(of: .primary) == .missing {
      list.excusePair()
      cause = .primary
    }
    if let cause { list.leave(Self.grantSteps + [.probe], because: cause) }
    return list
  }

  // MARK: - The host

  private static let suffix = ".my.salesforce.com"

  private func noteForm(_ list: inout Checklist) {
    let host = domain.host.lowercased()
    if domain.isLoopback {
      list.pass(.url, "\(domain.host) is this machine")
    } else if host.hasSuffix(Self.suffix) || host.contains(Self.suffix + ":") {
      list.pass(.url, "\(domain.host) has the form of a My Domain")
    } else {
      list.leave(.url, "\(domain.host) does not have the form of a My Domain, example\(Self.suffix)")
    }
  }

  /// `GET /services/data`: a list of objects with `version`.
  private func noteVersion(_ answer: HTTPResponse, _ list: inout Checklist) {
    let versions: [String] = answer.body.secret.withBytes { bytes in
      guard case .array(let elements)? = try? JSONNode(reading: bytes) else { return [] }
      return elements.compactMap { (try? $0["version"]?.text(in: bytes)) ?? nil }.filter(Self.isVersion)
    }
    guard let apiVersion else { return }
    if versions.contains(apiVersion) {
      list.pass(.version, "the org serves version \(apiVersion) of its API")
    } else if let newest = versions.compactMap({ Double($0) }).max() {
      list.miss(
        .version, "the org does not serve version \(apiVersion) of its API, but versions up to \(newest)",
        fix:
          "staged credentials came with 65.0 (Winter '26): correct setting api-version, or wait for the org's release")
    }
  }

  private static func isVersion(_ text: String) -> Bool {
    (3...6).contains(text.utf8.count) && text.utf8.allSatisfy { (48...57).contains($0) || $0 == UInt8(ascii: ".") }
  }

  // MARK: - The token

  /// Notes what a fresh token shows. Returns the step because of which there is none; nil if there is one.
  private func examineGrant(_ list: inout Checklist) async -> ChecklistStep? {
    guard let (number, pair) = subject.preflight.activePair else {
      list.miss(
        .pair, "the vault has no active pair of this credential",
        fix: "see `relatch status \(subject.credential.name)`, which says why")
      return .pair
    }
    let asked = subject.now()
    let answer: TokenAnswer
    do { answer = try await domain.token(pair, over: subject.transport) } catch {
      var told = error.shortened
      // A server that does not know the method is not an org in trouble.
      if error.status == 501 {
        told = ProviderError(
          .configuration, "\(domain.host) has no token endpoint (HTTP 501)",
          hint: "check that url is the org's My Domain",
          step: .url)
      }
      return list.blame(told, otherwise: .url)
    }
    let answered = subject.now()
    let evidence = GrantEvidence(answer, under: pair)
    if list.verdict(of: .clock) == nil, let theirs = evidence.providerTime {
      list.noteClock(theirs, asked: asked, answered: answered)
    }
    list.pass(.url, "\(domain.host) grants client credentials")
    list.pass(.limits, "logins are within the org's limits")
    list.pass(.pair, "version \(number), the active one, is granted a token")
    list.pass(.app, "the app is installed and enabled in this org")
    list.pass(.flow, "the client credentials flow is on")
    list.pass(.approved, "the Run As user is approved to use the app")
    list.pass(.login, "the Run As user may log in from this address at this hour")
    await noteUser(answer, &list)
    noteScopes(answer.text("scope"), &list)
    noteInstance(answer.text("instance_url"), &list)
    noteSignature(evidence.signature, &list)
    if let probe, list.verdict(of: .version) != .missing {
      do { list.pass(.probe, try await probe(answer.accessToken)) } catch {
        list.leave([.probe], because: list.blame(error, otherwise: .probe))
      }
    }
    return nil
  }

  /// Notes which user the app runs as. The answer's `id` is `https://login.salesforce.com/id/ORG/USER`, and userinfo
  /// names that user (Salesforce help, remoteaccess_using_userinfo_endpoint).
  private func noteUser(_ answer: TokenAnswer, _ list: inout Checklist) async {
    let parts = answer.text("id").map { $0.split(separator: "/").suffix(2).map(String.init) } ?? []
    let isPlain = parts.count == 2 && parts.allSatisfy(Self.isIdentifier)
    list.pass(.org, isPlain ? "the org \(parts[0]) is open" : "the org is open")
    let user = isPlain ? "user \(parts[1])" : "a user whom the token does not name"
    let (name, status) = await userName(answer.accessToken)
    if let name {
      list.pass(.user, "the app runs as \(name) (\(user)), who is active")
    } else {
      let reason = status.map { " (HTTP \($0))" } ?? ""
      list.pass(.user, "the app runs as \(user), who is active; the user's name is not shown to this token\(reason)")
    }
  }

  private func userName(_ token: SharedSecret) async -> (name: String?, status: Int?) {
    guard let endpoint = try? domain.at("/services/oauth2/userinfo"),
      let response = try? await subject.transport.send(
        HTTPRequest(
          .get, endpoint, headers: [("Accept", "application/json")],
          secretHeaders: [.init(name: "Authorization", prefix: "Bearer ", value: token)]))
    else { return (nil, nil) }
    guard response.status == 200 else { return (nil, response.status) }
    let name: String? = response.body.secret.withBytes { bytes in
      guard let root = try? JSONNode(reading: bytes) else { return nil }
      return (try? root["preferred_username"]?.text(in: bytes)) ?? nil
    }
    // It comes from outside and is printed, so only in the form of an e-mail address.
    guard let name, name.utf8.count <= 120, name.contains("@"),
      name.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"\"\\<>".utf8.contains($0) })
    else { return (nil, nil) }
    return (name, 200)
  }

  private static func isIdentifier(_ text: String) -> Bool {
    [15, 18].contains(text.utf8.count)
      && text.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) }
  }

  private func noteScopes(_ text: String?, _ list: inout Checklist) {
    guard let text else { return list.leave(.scopes, "\(domain.host) does not name the scopes of its token") }
    let named = Set(text.split(separator: " ").map { $0.lowercased() })
    let missing = scopes.filter { !named.contains($0) && !named.contains("full") }
    guard missing.isEmpty else {
      return list.miss(
        .scopes, "the token lacks the scope \(missing.joined(separator: " and "))",
        fix: "External Client App Manager, the app, Settings, OAuth Settings: select it under OAuth Scopes")
    }
    let quiet = quietScope.flatMap { named.isDisjoint(with: [$0, "offline_access", "full"]) ? $0 : nil }
    let remark = quiet.map { "; this flow's answer does not show whether \($0), which the guide asks for, is selected" }
    list.pass(.scopes, "the token has \(scopes.joined(separator: " and "))\(remark ?? "")")
  }

  private func noteInstance(_ text: String?, _ list: inout Checklist) {
    guard let text else { return list.leave(.instance, "the answer has no instance_url") }
    guard let instance = try? Endpoint(text) else {
      return list.miss(
        .instance, "the answer's instance_url is not a URL that a token may be sent to",
        fix: "check that url is the org's My Domain")
    }
    guard instance.host.lowercased() == domain.host.lowercased() else {
      return list.miss(
        .instance, "the token is for \(Name.printable(instance.host)), not for \(domain.host)",
        fix: "set url to Current My Domain URL in Setup, My Domain")
    }
    list.pass(.instance, "the token is for \(domain.host)")
  }

  private func noteSignature(_ signature: GrantEvidence.Signature, _ list: inout Checklist) {
    switch signature {
    case .valid: list.pass(.signature, "the answer is signed under the pair's secret")
    case .absent: list.leave(.signature, "the answer is not signed")
    case .mismatch:
      list.miss(
        .signature, "the answer is not signed under the pair's secret",
        fix:
          "find out what answers instead of the org: compare url with Setup, My Domain, and check what is in between")
    }
  }

  // MARK: - The administrator

  /// Notes what the administrator may see. `refused` is the step because of which the credential itself got no token.
  private func examineManagement(
    _ make: @Sendable (AdminAccess) throws(ProviderError) -> any PrimaryReader, refused: ChecklistStep?,
    _ list: inout Checklist
  ) async {
    let administrator = subject.credential.admin
    if let refused, subject.credential.isSelfAdministered { return list.leave(because: refused) }
    // Without that version every request fails, and its answer would show nothing more.
    guard list.verdict(of: .version) != .missing else {
      return list.leave([.admin, .permissions, .restSwitch, .primary, .slot, .probe], because: .version)
    }
    guard let admin = subject.admin else {
      list.miss(
        .admin, "the vault does not have its administrator, \(Name.printable(administrator))",
        fix: "add it, or name another: `relatch settings NAME --admin …`")
      return list.leave([.permissions, .restSwitch, .primary, .slot], because: .admin)
    }
    let rest: [ChecklistStep] = [.admin, .permissions, .restSwitch, .primary, .slot]
    let preflight = subject.preflight
    do throws(ProviderError) {
      let provider = try make(admin)
      let seen = try await provider.observe(known: preflight.known)
      list.pass(.admin, "\(administrator), which administers it, is granted a token")
      list.pass(.app, "the app is installed and enabled in this org, and has this pair")
      list.note(preflight.lines(in: seen, now: subject.now()))
      guard try await provider.readPrimary(seen).clientSecret != nil else {
        list.miss(
          .restSwitch, "the org leaves the consumer's secret out of its answer",
          fix:
            "Setup, External Client App Settings: allow access to External Client App consumer secrets"
            + " via REST API; the change may take a while")
        return list.leave(rest, because: .restSwitch)
      }
      list.pass(
        .permissions, "the Run As user of \(administrator) has External Client App Developer and View Client Secret")
      list.pass(.restSwitch, "the org shows consumer secrets over its REST API")
    } catch {
      // A pair that the org does not know does not belong to the app.
      if refused == .pair, error.step == .app { return list.leave(rest, because: .pair) }
      var told = error
      if error.step == .admin, error.local == nil {
        told = ProviderError(
          error.code, error.description,
          hint: [error.hint, "`relatch doctor \(administrator)` checks all of its steps"].compactMap(\.self).joined(
            separator: "; "), status: error.status, step: .admin)
      }
      let step = list.blame(told, otherwise: .permissions)
      if Checklist.tellsOfToken(step) {
        list.pass(.admin, "\(administrator), which administers it, is granted a token")
      }
      list.leave(rest, because: step)
    }
  }
}
