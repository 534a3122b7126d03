package import Rotation
import Transport
import Vault

extension SalesforceProvider {
  /// Advice for what no error of the token endpoint has a hint for.
  package static var fixes: [ChecklistStep: String] { SalesforceChecklist.fixes }

  package static func examine(_ subject: ChecklistSubject) async -> Checklist {
    let settings: SalesforceSettings
    do { settings = try SalesforceSettings(subject.settings) } catch {
      return SalesforceChecklist.unreadable(error, fixes)
    }
    var list = SalesforceChecklist(subject, at: settings.domain)
    if settings.app != nil {
      list.apiVersion = settings.apiVersion
      list.provider = { admin throws(ProviderError) in
        try SalesforceProvider(settings: subject.settings, admin: admin, transport: subject.transport)
      }
    }
    return await list.examine(fixes)
  }
}

extension SalesforceChecklist {
  static let fixes: [ChecklistStep: String] = [
    .pair:
      "Setup, External Client App Manager, the app, Settings, Consumer Key and Secret: compare the pair;"
      + " `relatch adopt NAME` takes over the one that is primary there (where the app has several consumers, set"
      + " consumer first), and a pair made minutes ago may not be known yet",
    .org: "ask Salesforce support: nothing works until the org is open and its API is on",
    .limits: "wait: an hour after too many logins, up to a day if the daily requests are used up; in a job that"
      + " logs in for each call use `relatch token`, which keeps the token",
  ]
}
