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
      "Setup, External Client App Manager, the app, Settings, Consumer Key and Secret: compare; `relatch"
      + " adopt NAME` takes"
      + " over what is primary there, and a pair made minutes ago may not be known yet",
    .org: "ask Salesforce's support: nothing of the org can be used",
    .limits: "wait an hour; a job that logs in anew for each call uses `relatch token`, which keeps the token",
  ]
}
