import ArgumentParser
import Audit
import JSON
import Vault

struct ListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the credentials, without unlocking anything.",
    discussion: "Ends with 65 if one is damaged; the others are still listed.")

  @OptionGroup var options: CommonOptions

  @Option(help: ArgumentHelp("Only those with this tag.", valueName: "tag"))
  var tag: String?

  var listing: CredentialListing { CredentialListing(settings: options.settings, tag: tag) }

  func run() async throws { try await listing.run() }
}

/// What `list` does.
struct CredentialListing: PlainCommand, Equatable {
  let settings: CommonSettings
  /// Nil for all credentials.
  var tag: String?

  func run() async throws {
    let report = Report(settings)
    let vault = try await Places(settings).openLocked()
    // The width that all lines share must be known before the first.
    let width = report.isJSON ? 0 : try await vault.read { try $0.maximumNameLength() }
    var isEmpty = true
    var failed: ExitCode?
    try await CredentialPages(of: vault, tag: tag).each { _, credential in
      credential
    } use: { page in
      try report.results(page.found, json: { $0.json }, text: { $0.line(width: width) })
      failed = report.failures(page.failures) ?? failed
      isEmpty = isEmpty && page.found.isEmpty && failed == nil
    }
    if let failed { throw Status(code: failed) }
    if isEmpty { try report.noteNone(of: tag) }
  }
}

extension Report {
  /// Notes that there is no credential. Throws if none has `tag`, which may be misspelled.
  func noteNone(of tag: String?) throws {
    guard let tag else { return note("the vault has no credentials yet: `relatch add` adds one") }
    throw Failure(noneWithTag: tag)
  }
}

extension Failure {
  /// `damaged` are the credentials that may have it: nobody knows.
  init(noneWithTag tag: String, damaged: [String] = []) {
    guard damaged.isEmpty else {
      self.init(
        .corruptData,
        "no credential that can be read has the tag \(Name.printable(tag)); damaged, so that their tags are not known:"
          + " \(damaged.joined(separator: ", "))",
        hint: VaultError.Code.corrupt.hint)
      return
    }
    self.init(
      .notFound, "no credential has the tag \(Name.printable(tag))",
      hint: "`relatch list` shows the tags of each; `relatch policy NAME tags=…` sets them")
  }
}

extension CredentialListing {
  init?(plain arguments: ArraySlice<String>) {
    guard let plain = PlainArguments(arguments, options: ["--tag"]), plain.words.isEmpty else { return nil }
    self.init(settings: plain.settings, tag: plain.value(of: "--tag"))
  }
}

extension Credential {
  fileprivate func line(width: Int) -> String {
    let active = version(in: .active)
    let debts = debts.count
    let owed = transfer == nil ? "\(debts) owed" : debts == 0 ? "handed over" : "handed over, \(debts) owed"
    let since = active?.since.description ?? "-"
    return "\(name.padded(to: width))  \(provider)  version \(active?.number ?? 0) since \(since)"
      + (debts == 0 && transfer == nil ? "" : "  (\(owed))") + (leak == nil ? "" : "  (leaked)")
      + (policy.tags.isEmpty ? "" : "  tags \(policy.tags.joined(separator: ","))")
  }
}
