/// The files of one external client app, grouped by the app name that each file gives.
struct ExternalClientApp {
  let name: String
  /// Whether any app has its own file in the project. Files for apps that are already in the org need none.
  let isAmongApps: Bool
  /// Whether every file was read. Only then is a part that is not here known to be missing.
  let isWhole: Bool
  let app: MetadataFile?
  let oauthSettings: [MetadataFile]
  let globalSettings: [MetadataFile]
  let oauthPolicies: [MetadataFile]
  let policies: [MetadataFile]

  /// The elements that enable the flow for the app's users. They are in `oauthPolicies`, and in older guides in
  /// `policies`.
  static let olderElements: Set = ["isClientCredentialsFlowEnabled", "clientCredentialsFlowUser"]

  static let parts: [MetadataType] = [.oauthSettings, .globalSettings, .oauthPolicies, .policies]

  /// Every app that has its own file or is named in another.
  static func all(in project: MetadataProject) -> [ExternalClientApp] {
    let apps = project.files(.app)
    func parts(_ type: MetadataType) -> [String: [MetadataFile]] {
      Dictionary(grouping: project.files(type)) { $0.root.first("externalClientApplication")?.text ?? "" }
    }
    let (settings, global, oauthPolicies, policies) =
      (parts(.oauthSettings), parts(.globalSettings), parts(.oauthPolicies), parts(.policies))
    let named = [settings, global, oauthPolicies, policies].flatMap(\.keys)
    return Set(apps.map(\.name) + named).sorted().map { name in
      ExternalClientApp(
        name: name, isAmongApps: !apps.isEmpty, isWhole: !project.hasUnread, app: apps.first { $0.name == name },
        oauthSettings: settings[name] ?? [], globalSettings: global[name] ?? [],
        oauthPolicies: oauthPolicies[name] ?? [], policies: policies[name] ?? [])
    }
  }

  private var everyPart: [MetadataFile] { oauthSettings + globalSettings + oauthPolicies + policies }

  func check(_ report: inout LintReport) {
    guard !name.isEmpty else { return checkNameless(&report) }
    if app == nil, isAmongApps {
      for file in everyPart {
        let line = file.root.first("externalClientApplication")?.line ?? file.root.line
        report.fault(
          .parts, file.path, line,
          "it belongs to \(quoted(name, else: "an app")), but no .eca file of the project has that name",
          hint: "give the app the name of its .eca file, in the same case")
      }
      return
    }
    if isWhole { checkParts(&report) }
    for file in oauthSettings { checkScopes(file, &report) }
    for file in globalSettings { checkGlobal(file, &report) }
    checkPolicies(&report)
    for file in policies { checkPlugins(file, &report) }
  }

  private func checkNameless(_ report: inout LintReport) {
    for file in everyPart {
      report.fault(
        .parts, file.path, file.root.line, "it does not say which app it belongs to",
        hint: "add externalClientApplication with the name of the .eca file")
    }
  }

  private func checkParts(_ report: inout LintReport) {
    if oauthSettings.isEmpty, let file = app ?? globalSettings.first {
      report.fault(
        .parts, file.path, file.root.line, "the app has no OAuth settings in the project, so it has no scopes",
        hint:
          "add a file extlClntAppOauthSettings/….ecaOauth with commaSeparatedOauthScopes; an org refuses"
          + " global settings without it"
      )
    }
    // The guide says that these must not be in source control, so their absence here says nothing about the org.
    if globalSettings.isEmpty, let file = app ?? oauthPolicies.first {
      report.note(
        .flow, file.path, file.root.line,
        "the global OAuth settings are not in the project: whether they enable the flow is not known",
        hint: "check in Setup, External Client App Manager, Settings, that Enable Client Credentials Flow is on")
    }
  }

  private func checkScopes(_ file: MetadataFile, _ report: inout LintReport) {
    guard let found = report.single("commaSeparatedOauthScopes", in: file), !found.isBlank else {
      let line = file.root.first("commaSeparatedOauthScopes")?.line ?? file.root.line
      return report.fault(
        .scopes, file.path, line, "the app has no scopes",
        hint: "list at least Api in commaSeparatedOauthScopes")
    }
    let scopes = found.text.split(separator: ",").map { String($0).trimmed }
    ScopeRule.check(scopes, file, found.line, &report)
  }

  private func checkGlobal(_ file: MetadataFile, _ report: inout LintReport) {
    let found = report.flag("isClientCredentialsFlowEnabled", in: file)
    if found == nil || found?.value == false {
      report.fault(
        .flow, file.path, found?.line ?? file.root.line,
        "the client credentials flow is \(found == nil ? "not enabled, which is the default," : "off") in the global settings",
        hint: "set isClientCredentialsFlowEnabled to true here and in the OAuth policies: it takes both")
    }
    if let found = report.flag("isPkceRequired", in: file), found.value == false {
      report.note(
        .pkce, file.path, found.line, "PKCE is off, and need not be: this flow never asks for it",
        hint: "leave isPkceRequired on for the flows that need it")
    }
  }

  /// Checks whether the flow is enabled and for which user, in either placement.
  private func checkPolicies(_ report: inout LintReport) {
    for file in policies {
      for element in file.root.children where Self.olderElements.contains(element.name) {
        report.note(
          .olderPlacement, file.path, element.line,
          "\(element.name) is in ExtlClntAppConfigurablePolicies, where older guides have it: accepted",
          hint: "the Metadata API Developer Guide has it only in ExtlClntAppOauthConfigurablePolicies"
            + (isDocumented(element.name) ? ", where it also is" : ": put it there, too"))
      }
    }
    let older = policies.filter { $0.root.children.contains { Self.olderElements.contains($0.name) } }
    guard let main = oauthPolicies.first ?? older.first else {
      if isWhole, let file = app ?? globalSettings.first {
        report.fault(
          .flow, file.path, file.root.line,
          "no policies of the project enable the flow, and an app's default policies do not",
          hint:
            "add a file extlClntAppOauthPolicies/….ecaOauthPlcy with isClientCredentialsFlowEnabled and clientCredentialsFlowUser"
        )
      }
      return
    }
    let files = oauthPolicies + older
    let flags = files.compactMap { file in report.flag("isClientCredentialsFlowEnabled", in: file).map { (file, $0) } }
    if let (file, off) = flags.first(where: { $0.1.value == false }) {
      report.fault(
        .flow, file.path, off.line, "the client credentials flow is off in the policies", hint: Self.flowHint)
    } else if flags.isEmpty {
      report.fault(
        .flow, main.path, main.root.line,
        "the policies do not enable the client credentials flow, which is off by default",
        hint: Self.flowHint)
    }
    checkUser(files, main, &report)
    for file in oauthPolicies { checkPermitted(file, &report) }
  }

  private func isDocumented(_ name: String) -> Bool { oauthPolicies.contains { $0.root.first(name) != nil } }

  private static let flowHint =
    "set isClientCredentialsFlowEnabled to true here and in the global settings: it takes both"

  private func checkUser(_ files: [MetadataFile], _ main: MetadataFile, _ report: inout LintReport) {
    let users = files.compactMap { file in report.single("clientCredentialsFlowUser", in: file).map { (file, $0) } }
    RunAsRule.check(users.first { !$0.1.isBlank } ?? users.first, main, "clientCredentialsFlowUser", &report)
  }

  private func checkPermitted(_ file: MetadataFile, _ report: inout LintReport) {
    if let action = report.single("policyAction", in: file) { BlockRule.check(action, file, &report) }
    guard let type = report.single("permittedUsersPolicyType", in: file), type.text == "AdminApprovedPreAuthorized",
      ["commaSeparatedPermissionSet", "commaSeparatedProfile"].allSatisfy({ file.root.first($0)?.isBlank ?? true })
    else { return }
    report.fault(
      .permitted, file.path, type.line, "only users whom an administrator approved may use the app, and none is named",
      hint:
        "name a permission set of the run-as user in commaSeparatedPermissionSet: otherwise the answer"
        + " is invalid_app_access"
    )
  }

  private func checkPlugins(_ file: MetadataFile, _ report: inout LintReport) {
    for name in ["isEnabled", "isOauthPluginEnabled"] {
      if let found = report.flag(name, in: file), found.value == false {
        report.fault(
          .disabled, file.path, found.line, "\(name) is off: the app grants no token",
          hint: "set it to true; it is off only for an app that leaked")
      }
    }
  }
}

/// Checks the user that an app acts as, for either kind of app.
enum RunAsRule {
  static func check(
    _ found: (file: MetadataFile, element: XMLElement)?, _ main: MetadataFile, in parent: XMLElement? = nil,
    _ name: String, _ report: inout LintReport
  ) {
    let hint =
      "give the user name, not the e-mail address, of an active user that only this app runs as and that"
      + " has API Only"
    guard let found else {
      return report.fault(
        .runAs, main.path, (parent ?? main.root).line, "there is no run-as user: \(name) is missing", hint: hint)
    }
    if found.element.isBlank {
      report.fault(.runAs, found.file.path, found.element.line, "\(name) is empty: there is no run-as user", hint: hint)
    } else if !AppMetadata.isAddress(found.element.text) {
      report.fault(
        .runAs, found.file.path, found.element.line,
        "\(name) is not a user name, which has the form of an e-mail address",
        hint: hint)
    }
  }
}

/// Checks that scopes have metadata's names, and that REST calls are among them.
enum ScopeRule {
  static func check(_ scopes: [String], _ file: MetadataFile, _ line: Int, _ report: inout LintReport) {
    for scope in scopes {
      guard let name = MetadataScope.metadataName(of: scope), name != scope else { continue }
      report.fault(
        .scopes, file.path, line, "\(scope) is the scope's name in OAuth, not in metadata", hint: "write \(name)")
    }
    guard !scopes.contains(where: { MetadataScope.metadataName(of: $0).map(MetadataScope.hasREST) ?? false }) else {
      return
    }
    report.fault(
      .scopes, file.path, line, "the scopes lack Api, without which nothing can be asked of the org",
      hint: "add Api")
  }
}

/// Checks for the policy action that ends sessions and allows no new ones.
enum BlockRule {
  static func check(_ action: XMLElement, _ file: MetadataFile, _ report: inout LintReport) {
    guard action.text == "Block" else { return }
    report.fault(
      .disabled, file.path, action.line, "policyAction is Block: the app grants no token",
      hint: "remove it: Block is for an app that leaked")
  }
}
