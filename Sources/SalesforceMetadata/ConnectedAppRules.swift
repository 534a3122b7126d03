/// Finds what prevents the flow in a connected app. No program can rotate such an app.
enum ConnectedAppRules {
  /// Names of the flow's flag that are wrong here: the other kind of app has the first, and many texts about this one
  /// use one of them.
  private static let wrongFlags = ["isClientCredentialsFlowEnabled", "isClientCredentialsEnabled"]

  static func check(_ file: MetadataFile, _ report: inout LintReport) {
    guard let configuration = report.single("oauthConfig", in: file) else {
      return report.fault(
        .flow, file.path, file.root.line, "the connected app has no OAuth settings",
        hint: "add oauthConfig, with isClientCredentialEnabled and oauthClientCredentialUser in it")
    }
    let found = report.flag("isClientCredentialEnabled", in: file, configuration)
    let wrong = wrongFlags.compactMap(configuration.first).first
    if found == nil, let wrong {
      report.fault(
        .flow, file.path, wrong.line, "\(wrong.name) is not an element of a connected app: the flow is not enabled",
        hint: "write isClientCredentialEnabled")
    } else if found == nil || found?.value == false {
      report.fault(
        .flow, file.path, found?.line ?? configuration.line,
        "the client credentials flow is \(found == nil ? "not enabled" : "off")",
        hint: "set isClientCredentialEnabled to true in oauthConfig")
    }
    RunAsRule.check(
      report.single("oauthClientCredentialUser", in: file, configuration).map { (file, $0) }, file, in: configuration,
      "oauthClientCredentialUser", &report)
    let scopes = configuration.all("scopes")
    ScopeRule.check(
      scopes.filter(\.children.isEmpty).map(\.text), file, scopes.first?.line ?? configuration.line, &report)
    if let found = report.flag("isPkceRequired", in: file, configuration), found.value == false {
      report.note(
        .pkce, file.path, found.line, "PKCE is off, and need not be: this flow never asks for it",
        hint: "leave isPkceRequired on for the flows that need it")
    }
    for policy in file.root.all("sessionPolicy") {
      if let action = report.single("policyAction", in: file, policy) { BlockRule.check(action, file, &report) }
    }
    if let approved = report.flag("isAdminApproved", in: file, configuration), approved.value == true,
      ["permissionSetName", "profileName"].allSatisfy({ file.root.first($0)?.isBlank ?? true })
    {
      report.fault(
        .permitted, file.path, approved.line,
        "only users whom an administrator approved may use the app, and none is named",
        hint: "name a permission set of the run-as user in permissionSetName: otherwise the answer is"
          + " invalid_app_access")
    }
  }
}
