import ArgumentParser
import Audit
import JSON
import Vault

struct LogExportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Print entries for log collectors: JSON Lines, CEF, OCSF or syslog.",
    discussion: """
      Each entry is proved to be in the log before it is printed. An export that fails harms nothing, because the log \
      is only read. To continue where the last export ended, give --from the number of entries that the log had then.
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case jsonl
    case cef
    case ocsf
    case rfc5424
  }

  @OptionGroup var options: CommonOptions

  @OptionGroup var selection: EntrySelection

  @Option(help: "jsonl (the entries as they are signed), cef, ocsf or rfc5424.")
  var format: Format = .jsonl

  @Option(
    name: .customLong("credential"),
    help: ArgumentHelp("Only entries about this credential; repeatable.", valueName: "name"))
  var credentials: [String] = []

  @Option(help: ArgumentHelp("Only from the entry with this number on.", valueName: "entry"))
  var from: UInt64 = 0

  private static let page: UInt64 = 1000

  func run() async throws {
    let selection = try selection.selection(of: credentials)
    let places = try Places(options)
    var vault = try await places.openLocked()
    // Then nothing is shown and no look is logged: a collector may ask every minute.
    if try await vault.read({ $0.logSize }) <= from { return }
    var fields = selection.fields.merging(["format": .string(format.rawValue)]) { $1 }
    if from > 0 { fields["from"] = .integer(Int(clamping: from)) }
    vault = try await places.openLogged(at: "export", fields, about: selection.credentials)
    let (size, name) = try await vault.read { ($0.logSize, $0.header.id.description) }
    let bounds = try await vault.span(of: selection, size: size)
    var start = min(from, size)
    while start < size {
      let range = start..<min(size, start + Self.page)
      let entries = try await vault.read { view in
        try range.compactMap { index in
          let entry = try view.authenticatedEntry(at: index)
          return selection.includes(entry, at: index, in: bounds)
            ? ExportedEntry(entry: entry, index: index, vault: name) : nil
        }
      }
      for entry in entries { try StandardStream.output.write(entry.line(format) + "\n") }
      start = range.upperBound
    }
  }
}
