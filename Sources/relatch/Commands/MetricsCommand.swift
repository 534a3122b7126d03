import ArgumentParser
import Audit
import Glibc
import Rotation
import Vault

struct MetricsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "metrics", abstract: "Print metrics for Prometheus, without unlocking anything.",
    discussion: """
      With --output the file is replaced as a whole and is readable by others, as the textfile collector of \
      node_exporter needs it; the collector reads only names that end in .prom. Ends with 65 if a credential is \
      damaged; the others are still reported. `relatch rotate --due --metrics FILE` writes the same at the end of each run.
      """)

  @OptionGroup var options: CommonOptions

  @Option(name: [.short, .long], help: ArgumentHelp("The file to replace.", valueName: "file"), completion: .file())
  var output: String?

  func run() async throws {
    let places = try Places(options)
    if let output { try OwnFiles(places).requireNone(at: Paths.absolute(output), for: "metrics") }
    let figures = try await places.figures(run: nil)
    let report = Report(options)
    if let output {
      if !output.hasSuffix(".prom") {
        report.note("the textfile collector of node_exporter reads only names that end in .prom")
      }
      try MetricsFile.write(figures.text, to: output)
    } else {
      try StandardStream.output.write(figures.text)
    }
    // Standard output is only for Prometheus.
    for failure in figures.damage { Diagnostics.standard.error(failure.quoting) }
    if let first = figures.damage.first {
      Diagnostics.standard.hint(first.hint)
      throw Status(code: first.code)
    }
  }
}

extension Places {
  /// What the metrics say about the vault as it is now.
  func figures(run: VaultFigures.Run?) async throws -> VaultFigures {
    let vault = try await openLocked()
    let (bytes, records) = (databaseBytes, try await vault.found(in: witnessRecords))
    return try await vault.read { view in
      try VaultFigures(
        view, schedule: RotationSchedule { TimeZoneRules(named: $0) }, records: records, vaultBytes: bytes,
        written: WallClock.now(), run: run)
    }
  }

  /// The size of the database and of its write-ahead log.
  private var databaseBytes: Int64? {
    var information = stat()
    guard stat(database, &information) == 0 else { return nil }
    let size = Int64(information.st_size)
    return stat(database + "-wal", &information) == 0 ? size + Int64(information.st_size) : size
  }
}
