package import Rotation
import Transport
import Vault

extension SalesforceConnectedAppProvider {
  /// A connected app has other pages than an External Client App.
  package static var fixes: [ChecklistStep: String] {
    SalesforceChecklist.fixes.merging([
      .flow: "App Manager, the app, Edit: Enable Client Credentials Flow",
      .user: "App Manager, the app, Manage, Edit Policies, Client Credentials Flow: Run As a user who is active",
      .approved: "App Manager, the app, Manage: give the Run As user's profile or permission set to the app",
      .login:
        "App Manager, the app, Manage, Edit Policies: IP Relaxation; or the addresses and hours of the user's"
        + " profile",
      .scopes: "App Manager, the app, Edit: select it under Selected OAuth Scopes",
      .app: "App Manager lists the app in the org that has it: use the My Domain of that org",
      .pair:
        "App Manager, the app, View, Manage Consumer Details: compare; `relatch adopt NAME --stdin` takes that"
        + " pair over",
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
