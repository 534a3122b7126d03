package import Rotation
import Transport
import Vault

extension CloudawareProvider {
  package static var fixes: [ChecklistStep: String] {
    SalesforceChecklist.fixes.merging([
      .org: "ask your technical account manager: nothing works until the org is open and its API is on",
      .version:
        "ask your technical account manager when the org gets a release with staged credentials, version 65.0",
    ]) { $1 }
  }

  package static func examine(_ subject: ChecklistSubject) async -> Checklist {
    let settings: CloudawareSettings
    do { settings = try CloudawareSettings(subject.settings) } catch {
      return SalesforceChecklist.unreadable(error, fixes)
    }
    var list = SalesforceChecklist(subject, at: settings.domain)
    if subject.settings["app"] != nil {
      list.apiVersion = settings.apiVersion
      list.provider = { admin throws(ProviderError) in
        try CloudawareProvider(settings: subject.settings, admin: admin, transport: subject.transport)
      }
    }
    if settings.usesAnalytics { list.scopes.append("wave_api") }
    list.quietScope = "refresh_token"
    if let object = settings.probe {
      list.probe = { token throws(ProviderError) in
        _ = try await settings.read(with: token, over: subject.transport)
        return "\(object) can be read"
      }
    }
    return await list.examine(fixes)
  }
}
