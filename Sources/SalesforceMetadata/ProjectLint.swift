/// Finds what in a project prevents the client credentials flow or rotation.
package enum ProjectLint {
  /// The findings, in the order of files and lines; none if nothing is wrong.
  package static func findings(in project: MetadataProject) -> [LintFinding] {
    var report = LintReport()
    for finding in project.findings { report.add(finding) }
    let secrets = SecretRule(isVersioned: project.isVersioned)
    for file in project.files {
      secrets.check(file, &report)
      checkElements(of: file, &report)
    }
    for app in ExternalClientApp.all(in: project) { app.check(&report) }
    for file in project.files(.connectedApp) { ConnectedAppRules.check(file, &report) }
    for file in project.files(.orgSettings) { checkOrg(file, &report) }
    ManifestRules.check(project, &report)
    return report.sorted
  }

  /// An undocumented element is usually a word of another type, or invented.
  private static func checkElements(of file: MetadataFile, _ report: inout LintReport) {
    guard case .component(let type) = file.kind, let known = type.elements, file.root.name == type.rawValue else {
      return
    }
    let older = type == .policies ? ExternalClientApp.olderElements : []
    for child in file.root.children where !known.contains(child.name) && !older.contains(child.name) {
      report.note(
        .element, file.path, child.line,
        "\(quoted(child.name, else: "an element")) is not a documented element of \(type.rawValue)",
        hint: "check the guide's page on \(type.rawValue): an org refuses a deployment with an element that it"
          + " does not know")
    }
  }

  private static func checkOrg(_ file: MetadataFile, _ report: inout LintReport) {
    if let found = report.flag("enableClientSecretInRestApiAccess", in: file), found.value == false {
      report.fault(
        .org, file.path, found.line, "the org does not give consumer secrets to REST calls, so nothing can be rotated",
        hint: "set enableClientSecretInRestApiAccess to true; it can be off between rotations")
    }
    if let found = report.flag("enableConsumerSecretApiAccess", in: file), found.value == true {
      report.note(
        .org, file.path, found.line, "the org gives consumer secrets to the Metadata API, which is deprecated",
        hint:
          "set enableConsumerSecretApiAccess to false: rotation does not need it, and retrieved files would hold secrets"
      )
    }
  }
}

extension LintReport {
  mutating func add(_ finding: LintFinding) {
    switch finding.level {
    case .fault: fault(finding.check, finding.file, finding.line, finding.text, hint: finding.hint)
    case .note: note(finding.check, finding.file, finding.line, finding.text, hint: finding.hint)
    }
  }
}

/// Checks files for keys and secrets, and for settings that replace them.
struct SecretRule {
  let isVersioned: Bool

  func check(_ file: MetadataFile, _ report: inout LintReport) {
    guard case .component(let type) = file.kind else { return }
    let holders = type == .connectedApp ? file.root.all("oauthConfig") : [file.root]
    let place = isVersioned ? "a file under version control" : "a file of the project"
    for holder in holders {
      for secret in holder.all("consumerSecret") where !secret.isBlank {
        report.fault(
          .secret, file.path, secret.line, "\(place) holds a consumer secret",
          hint:
            "remove it, from the history too, and run `relatch revoke`: it has leaked to anyone who reads that"
        )
      }
      for key in holder.all("consumerKey") where !key.isBlank {
        if type == .connectedApp {
          report.note(
            .secret, file.path, key.line, "it holds the consumer key of one org, which the next rotation changes",
            hint: "remove it once the app exists: the key cannot be set later")
        } else {
          report.fault(
            .secret, file.path, key.line, "\(place) holds a consumer key",
            hint:
              "remove it: the guide says that it must not be there, and a deployment after a rotation"
              + " brings back the old one"
          )
        }
      }
      for name in ["shouldRotateConsumerKey", "shouldRotateConsumerSecret"] {
        if let found = report.flag(name, in: file, holder), found.value == true {
          report.fault(
            .replacement, file.path, found.line,
            "\(name) is on: every deployment makes another pair, which nobody is given",
            hint: "set it to false; `relatch rotate` replaces pairs, and proves the new one first")
        }
      }
    }
  }
}
