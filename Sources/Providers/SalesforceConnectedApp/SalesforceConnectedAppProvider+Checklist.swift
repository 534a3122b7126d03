package import Rotation
import Transport
import Vault

extension SalesforceConnectedAppProvider {
  /// A connected app has other pages than an External Client App.
  package static var fixes: [ChecklistStep: String] {
    SalesforceChecklist.fixes.merging([
      .flow: "App Manager, the app, Edit: select Enable Client Credentials Flow",
      .user: "App Manager, the app, Manage, Edit Policies, Client Credentials Flow: set Run As to an active user",
      .approved: "App Manager, the app, Manage: add the Run As user's profile or permission set",
      .login:
        "App Manager, the app, Manage, Edit Policies: relax IP Relaxation; or extend the addresses and"
        + " hours of the user's profile",
      .scopes: "App Manager, the app, Edit: select it under Selected OAuth Scopes",
      .app: "use the My Domain of the org that has the app: App Manager lists it there",
      .pair:
        "App Manager, the app, View, Manage Consumer Details: compare the pair; `relatch adopt NAME"
        + " --stdin` takes that pair over",
    ]) { $1 }
  }

  package static func examine(_ subject: ChecklistSubject) async -> Checklist {
    let settings: SalesforceConnectedAppSettings
    do { settings = try SalesforceConnectedAppSettings(subject.settings) } catch {
      return SalesforceChecklist.unreadable(error, fixes)
    }
    var list = SalesforceChecklist(subject, at: settings.domain)
    list.isByHand = settings.app != nil
    return await list.examine(fixes)
  }
}
