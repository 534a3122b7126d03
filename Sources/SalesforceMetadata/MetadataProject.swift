import Glibc

/// A project's file that describes an app or lists what is deployed.
struct MetadataFile: Sendable {
  enum Kind: Equatable, Sendable {
    case component(MetadataType)
    case manifest
  }

  /// The path relative to the project's folder.
  let path: String
  let kind: Kind
  /// The component's full name, which is the file's name without its suffix.
  let name: String
  let isSourceFormat: Bool
  let root: XMLElement
}

/// The files in a folder that describe apps.
package struct MetadataProject: Sendable {
  let files: [MetadataFile]
  /// Files that could not be read, have a wrong root or name, or are not where they belong.
  let findings: [LintFinding]
  /// Whether some file of an app could not be read, so that it is unknown what is missing.
  let hasUnread: Bool
  /// Whether the folder or one above it is a repository of Git or Mercurial.
  let isVersioned: Bool

  private static let maximumEntries = 200_000
  private static let maximumLevels = 40
  /// For all files that describe apps together. Their elements take some tens of times as much memory.
  private static let maximumBytes = 16 << 20
  /// Suffixes that examples use and that no org and no tool knows.
  private static let wrongSuffixes = ["ecaGlobalOauth", "ecaPolicy", "ecaOauthPolicy", "externalClientApplication"]

  /// Reads the files in `folder` and its subfolders. It skips `node_modules` and names that begin with a dot, and does
  /// not follow links.
  ///
  /// Throws `MetadataError`, whose text has the path unescaped: `notFound` if there is no such folder or no file of an
  /// app in it, `cannotRead`, `tooLarge`.
  package init(reading folder: String) throws {
    var found: [(path: String, name: String)] = []
    var entries = 0
    try Self.walk(folder, "", level: 0, &entries, &found)
    var files: [MetadataFile] = []
    var report = LintReport()
    // The number of files that belong to an app.
    var candidates = 0
    var bytes = 0
    for (path, name) in found {
      guard let sort = Self.sort(name) else {
        if let suffix = Self.wrongSuffix(of: name) {
          candidates += 1
          report.fault(
            .place, path, 1, "an org does not know files whose names end in .\(suffix): it is not deployed",
            hint: "external client apps have .eca, .ecaOauth, .ecaGlblOauth, .ecaOauthPlcy and .ecaPlcy")
        }
        continue
      }
      do {
        guard let root = try Self.read("\(folder)/\(path)", &bytes) else {
          guard sort.kind != .manifest, sort.kind != .component(.orgSettings) else { continue }
          candidates += 1
          report.fault(
            .xml, path, 1, "it is not a plain file of at most \(XMLReader.maximumSize) bytes, and was not read",
            hint: "replace it with the file itself")
          continue
        }
        // Org settings of all kinds share one suffix.
        if sort.kind == .component(.orgSettings), root.name != MetadataType.orgSettings.rawValue { continue }
        if sort.kind != .manifest { candidates += 1 }
        let file = MetadataFile(
          path: path, kind: sort.kind, name: sort.name, isSourceFormat: sort.isSourceFormat, root: root)
        Self.checkRoot(of: file, &report)
        Self.checkPlace(of: file, &report)
        files.append(file)
      } catch let fault as XMLFault {
        // A broken manifest or settings file may belong to something else, so it is not reported.
        guard sort.kind != .component(.orgSettings), sort.kind != .manifest else { continue }
        candidates += 1
        report.fault(.xml, path, fault.line, fault.text, hint: "retrieve it again, or fix it: an org would refuse it")
      }
    }
    guard candidates > 0 else {
      throw MetadataError(
        .notFound,
        "there is no external client app and no connected app in \(folder): no file ends in .eca, .ecaOauth,"
          + " .ecaGlblOauth, .ecaOauthPlcy, .ecaPlcy or .connectedApp, with or without -meta.xml")
    }
    self.files = files
    hasUnread = report.findings.contains { $0.check == .xml }
    findings = report.findings
    isVersioned = Self.isVersioned(folder)
  }

  func files(_ type: MetadataType) -> [MetadataFile] { files.filter { $0.kind == .component(type) } }

  private static func checkRoot(of file: MetadataFile, _ report: inout LintReport) {
    let expected: String
    switch file.kind {
    case .component(let type): expected = type.rawValue
    case .manifest: expected = "Package"
    }
    if file.root.name != expected {
      report.fault(
        .element, file.path, file.root.line, "its root is \(quoted(file.root.name, else: "another element"))",
        hint: "write \(expected): a file of this name has that root")
    } else if !file.root.isMetadata {
      report.fault(
        .element, file.path, file.root.line, "its root is not in the namespace of metadata",
        hint: "write <\(expected) xmlns=\"\(XMLElement.metadataNamespace)\">")
    }
  }

  /// In metadata format each type has its own folder; in source format a file may be anywhere.
  private static func checkPlace(of file: MetadataFile, _ report: inout LintReport) {
    guard case .component(let type) = file.kind, !file.isSourceFormat else { return }
    let parts = file.path.split(separator: "/")
    guard parts.count < 2 || parts[parts.count - 2] != type.folder else { return }
    report.fault(
      .place, file.path, 1, "in metadata format an org looks for it in another folder",
      hint: "move it to \(type.folder)/")
  }

  private typealias Sort = (kind: MetadataFile.Kind, name: String, isSourceFormat: Bool)

  /// What a file is, judged by its name; nil if it describes no app.
  private static func sort(_ fileName: String) -> Sort? {
    if fileName == "package.xml" { return (.manifest, fileName, false) }
    let isSourceFormat = fileName.hasSuffix("-meta.xml")
    let name = isSourceFormat ? String(fileName.dropLast("-meta.xml".count)) : fileName
    for type in MetadataType.allCases
    where name.hasSuffix(".\(type.suffix)") && name.utf8.count > type.suffix.utf8.count {
      return (.component(type), String(name.dropLast(type.suffix.count + 1)), isSourceFormat)
    }
    return nil
  }

  private static func wrongSuffix(of fileName: String) -> String? {
    let name = fileName.hasSuffix("-meta.xml") ? String(fileName.dropLast("-meta.xml".count)) : fileName
    return wrongSuffixes.first { name.hasSuffix(".\($0)") }
  }

  /// The paths of the plain files below `folder`, sorted.
  private static func walk(
    _ folder: String, _ prefix: String, level: Int, _ entries: inout Int, _ found: inout [(path: String, name: String)]
  ) throws {
    guard level < maximumLevels else {
      throw MetadataError(.tooLarge, "\(folder) has more than \(maximumLevels) levels of folders")
    }
    guard let directory = opendir(prefix.isEmpty ? folder : "\(folder)/\(prefix)") else {
      // A subfolder that was removed meanwhile is skipped. Every other failure is an error.
      if !prefix.isEmpty, errno == ENOENT { return }
      let reason = String(cString: strerror(errno))
      throw MetadataError(
        errno == ENOENT || errno == ENOTDIR ? .notFound : .cannotRead,
        "cannot read the folder \(folder)\(prefix.isEmpty ? "" : "/\(prefix)"): \(reason)")
    }
    defer { closedir(directory) }
    var names: [(name: String, isFolder: Bool)] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) {
          String(cString: $0)
        }
      }
      guard !name.hasPrefix("."), name != "node_modules" else { continue }
      entries += 1
      guard entries <= maximumEntries else {
        throw MetadataError(.tooLarge, "\(folder) has more than \(maximumEntries) files: name that of the project")
      }
      var information = stat()
      guard fstatat(dirfd(directory), name, &information, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
      names.append((name, information.st_mode & S_IFMT == S_IFDIR))
    }
    for (name, isFolder) in names.sorted(by: { $0.name < $1.name }) {
      let path = prefix.isEmpty ? name : "\(prefix)/\(name)"
      if isFolder {
        try walk(folder, path, level: level + 1, &entries, &found)
      } else {
        found.append((path, name))
      }
    }
  }

  /// The document's root; nil if it is not a plain file, or is too long. What was read is wiped, because it may hold a
  /// secret.
  private static func read(_ path: String, _ total: inout Int) throws -> XMLElement? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else {
      if errno == ELOOP || errno == ENOENT { return nil }
      throw MetadataError(.cannotRead, "cannot read \(path): \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    var information = stat()
    guard fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFREG,
      information.st_size <= XMLReader.maximumSize
    else { return nil }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: XMLReader.maximumSize + 1, alignment: 16)
    var count = 0
    defer {
      if let base = buffer.baseAddress { explicit_bzero(base, count) }
      buffer.deallocate()
    }
    while count < buffer.count {
      let got = Glibc.read(descriptor, buffer.baseAddress?.advanced(by: count), buffer.count - count)
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else {
        throw MetadataError(.cannotRead, "cannot read \(path): \(String(cString: strerror(errno)))")
      }
      if got == 0 { break }
      count += got
    }
    guard count <= XMLReader.maximumSize else { return nil }
    total += count
    guard total <= maximumBytes else {
      throw MetadataError(
        .tooLarge, "the files that describe apps have more than \(maximumBytes >> 20) MiB, the last of them \(path)")
    }
    return try XMLReader.read(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
  }

  private static func isVersioned(_ folder: String) -> Bool {
    guard let resolved = realpath(folder, nil) else { return false }
    defer { free(resolved) }
    var path = String(cString: resolved)
    while true {
      for name in [".git", ".hg"] where access("\(path)/\(name)", F_OK) == 0 { return true }
      guard let slash = path.lastIndex(of: "/"), path != "/" else { return false }
      path = slash == path.startIndex ? "/" : String(path[..<slash])
    }
  }
}
