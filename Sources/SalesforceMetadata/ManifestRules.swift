/// Compares what `package.xml` deploys with the files that are there.
enum ManifestRules {
  static func check(_ project: MetadataProject, _ report: inout LintReport) {
    for manifest in project.files where manifest.kind == .manifest && manifest.root.name == "Package" {
      check(manifest, of: project, &report)
    }
  }

  private static func check(_ manifest: MetadataFile, of project: MetadataProject, _ report: inout LintReport) {
    var members: [String: Set<String>] = [:]
    for types in manifest.root.all("types") {
      guard let name = types.first("name")?.text else { continue }
      members[name, default: []].formUnion(types.all("members").map(\.text))
    }
    let flow: [MetadataType] = [.app] + ExternalClientApp.parts
    let isAboutApps = flow.contains { members[$0.manifestName] != nil }
    // A manifest that names no part of an app deploys something else.
    guard isAboutApps || members[MetadataType.connectedApp.manifestName] != nil else { return }
    for type in flow + [.connectedApp] {
      for file in project.files(type) where isBelow(manifest, file) {
        let named = members[type.manifestName] ?? []
        guard !named.contains("*"), !named.contains(file.name) else { continue }
        report.fault(
          .manifest, manifest.path, manifest.root.line,
          "it does not name \(type.rawValue) \(quoted(file.name, else: "of a file")), which is then not deployed",
          hint: "add it: <types><members>…</members><name>\(type.manifestName)</name></types>")
      }
    }
    guard isAboutApps, let version = manifest.root.first("version") else { return }
    guard let number = Int(version.text.prefix { $0 != "." }), number < MetadataType.flowVersion else { return }
    report.fault(
      .manifest, manifest.path, version.line,
      "version \(number) of the API is older than the client credentials flow of external client apps",
      hint:
        "write \(AppMetadata.apiVersion): the flow came with \(MetadataType.flowVersion).0, rotation with \(AppMetadata.apiVersion)"
    )
  }

  /// In metadata format a manifest is beside the folders that it covers; in source format it may be anywhere.
  private static func isBelow(_ manifest: MetadataFile, _ file: MetadataFile) -> Bool {
    guard !file.isSourceFormat else { return true }
    let folder = manifest.path.split(separator: "/").dropLast()
    return file.path.split(separator: "/").prefix(folder.count).elementsEqual(folder)
  }
}
