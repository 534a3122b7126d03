import ArgumentParser
import Audit
import Vault

/// Options of the verbs that a timer runs.
struct UnattendedOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("At the end, replace this file with metrics for Prometheus.", valueName: "file"),
    completion: .file())
  var metrics: String?

  @Option(
    help: ArgumentHelp(
      "Send each outcome and failure to syslog: /dev/log, or udp://ADDRESS:PORT.", valueName: "address"))
  var syslog: String?

  /// Runs `body` with a report that also goes to syslog, and writes the metrics at the end, however it ended. Options
  /// take precedence over `RELATCH_METRICS` and `RELATCH_SYSLOG`.
  ///
  /// Throws what `body` throws, and a usage failure for an invalid address. Neither syslog nor metrics ever make a run
  /// fail that would not fail without them.
  func run(_ options: CommonOptions, _ body: (Report) async throws -> Void) async throws {
    let address = try (syslog ?? ProcessEnvironment.value(of: "RELATCH_SYSLOG")).map(SyslogAddress.init)
    let report = Report(options, syslog: address.map { SyslogSink($0) })
    do {
      try await body(report)
    } catch let status as Status {
      await finish(options, report, status.code)
      throw status
    } catch {
      // `main` prints it on standard error.
      let failure = Failure(error)
      report.syslog?.failure(failure, of: nil)
      await finish(options, report, failure.code, after: failure)
      throw error
    }
    if await !finish(options, report, .done) { throw Status(code: .corruptData) }
  }

  /// Hands the checkpoint to the witnesses, and writes the metrics. Returns false if a witness has seen another log.
  @discardableResult
  private func finish(
    _ options: CommonOptions, _ report: Report, _ code: ExitCode, after failure: Failure? = nil
  ) async -> Bool {
    // The run that gave the reserve up may not have been able to set it aside again.
    if let places = try? Places(options), PrivateFile.exists(places.database) { SpaceReserve(places).keep() }
    let isConsistent = await report.handOver(options, after: failure)
    await writeMetrics(options, isConsistent || code != .done ? code : .corruptData)
    return isConsistent
  }

  private func writeMetrics(_ options: CommonOptions, _ code: ExitCode) async {
    guard let path = metrics ?? ProcessEnvironment.value(of: "RELATCH_METRICS") else { return }
    do {
      let places = try Places(options)
      try OwnFiles(places).requireNone(at: Paths.absolute(path), for: "metrics")
      let figures = try await places.figures(run: VaultFigures.Run(ended: WallClock.now(), code: code))
      try MetricsFile.write(figures.text, to: path)
    } catch {
      Diagnostics.standard.warning("the metrics were not written: \(Failure(error).message)")
    }
  }
}
