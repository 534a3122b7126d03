package import Rotation
package import Transport
import Vault

// The default checklist of a provider: what every OAuth server and its management interface have.
extension ProviderKind {
  package static func publicPage(_ settings: [String: String]) throws(ProviderError) -> Endpoint? { nil }

  package static var fixes: [ChecklistStep: String] { [:] }

  package static var ownSteps: [(step: ChecklistStep, done: String)] { [] }

  package static func examine(_ subject: ChecklistSubject) async -> Checklist {
    await examineGrantAndManagement(subject)
  }

  /// The steps in the order of a guide: the server, the client, and, if it can be rotated, the administrator.
  private static func steps(of subject: ChecklistSubject, hasPage: Bool) -> [ChecklistStep] {
    var steps: [ChecklistStep] = [.settings]
    if hasPage { steps += [.host, .tls, .clock] }
    steps += hasPage ? grantSteps : [.limits, .pair]
    guard descriptor.canRotate(subject.settings) else { return steps }
    steps += ownSteps.map(\.step)
    if !subject.credential.isSelfAdministered { steps.append(.admin) }
    return steps + [.permissions, .app, .primary, .slot]
  }

  static func examineGrantAndManagement(_ subject: ChecklistSubject) async -> Checklist {
    let page: Endpoint?
    do {
      try check(subject.settings)
      page = try publicPage(subject.settings)
    } catch {
      var list = Checklist(steps(of: subject, hasPage: false), fixes: fixes)
      list.blame(error, otherwise: .settings)
      list.leave(because: .settings)
      return list
    }
    var list = Checklist(steps(of: subject, hasPage: page != nil), fixes: fixes)
    list.pass(.settings, "they are complete, and have the form that \(descriptor.id) expects")
    guard !subject.isOffline else {
      list.leave(because: .offline)
      return list
    }
    if let page, await list.reach(page, subject) == nil { return list }
    if let withheld = subject.withheld {
      list.leave(because: withheld)
      return list
    }
    await examine(subject, &list)
    list.leave(.clock, "the server does not report its time")
    return list
  }

  /// Examines what the active pair is granted and what the administrator may see.
  private static func examine(_ subject: ChecklistSubject, _ list: inout Checklist) async {
    guard descriptor.canRotate(subject.settings) else {
      if let cause = await examineGrant(subject, by: nil, &list) { list.leave(because: cause) }
      return
    }
    guard let admin = subject.admin else {
      list.miss(
        .admin, "the vault does not have its administrator, \(Name.printable(subject.credential.admin))",
        fix: "add it, or name another: `relatch settings NAME --admin …`")
      return list.leave(because: .admin)
    }
    let provider: Self
    do { provider = try Self(settings: subject.settings, admin: admin, transport: subject.transport) } catch {
      return list.leave(because: list.blame(error, otherwise: .admin))
    }
    var cause = await examineGrant(subject, by: provider, &list)
    // A credential that administers itself would do so with the token that was just refused.
    if let cause, admin.isSelf { return list.leave(grantSteps + managementSteps, because: cause) }
    await examineManagement(subject, by: provider, &list)
    // The pair is refused because it was replaced elsewhere.
    if cause == .pair, list.verdict(of: .primary) == .missing {
      list.excusePair()
      cause = .primary
    }
    if let cause { list.leave(grantSteps, because: cause) }
  }

  /// The step to blame for a malformed answer: the kind's own, such as its program, if it has one.
  private static func step(orOwn error: ProviderError) -> ChecklistStep? {
    error.code == .malformed ? ownSteps.first?.step : nil
  }

  private static var managementSteps: [ChecklistStep] {
    ownSteps.map(\.step) + [.admin, .permissions, .app, .primary, .slot]
  }

  private static var grantSteps: [ChecklistStep] { [.limits, .pair, .flow, .scopes] }

  /// Returns the step because of which the active pair is granted no token; nil if it is granted one, or was not tried.
  private static func examineGrant(
    _ subject: ChecklistSubject, by provider: Self?, _ list: inout Checklist
  ) async -> ChecklistStep? {
    guard let (number, pair) = subject.preflight.activePair else {
      list.miss(
        .pair, "the vault has no active pair of this credential",
        fix: "see `relatch status \(subject.credential.name)`, which says why")
      return .pair
    }
    let asked = subject.now()
    do throws(ProviderError) {
      if let provider {
        let evidence = try await provider.validate(pair)
        if let theirs = evidence.providerTime { list.noteClock(theirs, asked: asked, answered: subject.now()) }
      } else if let issuer = Self.self as? any TokenIssuer.Type, issuer.givesTokens(subject.settings) {
        _ = try await issuer.token(for: pair, settings: subject.settings, over: subject.transport)
      } else {
        let names = descriptor.missing(in: subject.settings).map(\.key).joined(separator: ", ")
        for step in grantSteps {
          list.leave(
            step,
            "without setting \(names) its pair is tried only by a rotation that it administers")
        }
        return nil
      }
    } catch { return list.blame(error.shortened, otherwise: step(orOwn: error)) }
    list.pass(.pair, "version \(number), the active one, is granted a token")
    list.pass(.limits, "requests are not turned away")
    list.pass(.flow, "the client may use this grant")
    list.pass(.scopes, "the scope is accepted")
    return nil
  }

  private static func examineManagement(
    _ subject: ChecklistSubject, by provider: Self, _ list: inout Checklist
  ) async {
    let admin = "\(subject.credential.admin), which administers it, is granted a token"
    let seen: Observation
    do { seen = try await provider.observe(known: subject.preflight.known) } catch {
      let step = list.blame(error, otherwise: step(orOwn: error))
      if Checklist.tellsOfToken(step) { list.pass(.admin, admin) }
      return list.leave(managementSteps, because: step)
    }
    list.pass(.admin, admin)
    list.pass(.permissions, "the administrator may see what a rotation looks at; what it changes is not tried")
    list.pass(.app, "what the settings name exists")
    for own in ownSteps { list.pass(own.step, own.done) }
    list.note(subject.preflight.lines(in: seen, now: subject.now()))
  }
}
