import Foundation
import Glibc

/// What ending a leak takes, from the command's start until every leaked pair is seen to be refused.
extension Benchmarks {
  /// What else goes on meanwhile.
  private enum Circumstance { case quiet, cron, fullDisk }

  private struct Revoking {
    let name: String
    let credentials: Int
    let jobs: Int
    let circumstance: Circumstance
    var usages: [Usage] = []
    var ideals: [Double] = []
    var wasBusy = true
    var failure: String?
  }

  private static let latency = 0.05

  func runLeaks() throws {
    print("\(Machine.description)\n")
    try org.reset(apps: few, latency: 0)
    Self.progress("making vaults of \(few) credentials")
    try vaults.make(few, hasGrace: false, of: org)
    try vaults.make(few, hasGrace: false, isDue: true, of: org)
    var rows = [
      Revoking(name: "revoke NAME", credentials: 1, jobs: 1, circumstance: .quiet),
      Revoking(name: "revoke NAME… --jobs 32", credentials: few, jobs: 32, circumstance: .quiet),
      Revoking(name: "revoke NAME, cron at work", credentials: 1, jobs: 1, circumstance: .cron),
      Revoking(name: "revoke NAME… --jobs 32, cron at work", credentials: few, jobs: 32, circumstance: .cron),
      Revoking(name: "revoke NAME, disk full", credentials: 1, jobs: 1, circumstance: .fullDisk),
    ]
    for round in 1...rounds {
      for index in rows.indices where rows[index].failure == nil {
        Self.progress("round \(round) of \(rounds), \(rows[index].name)")
        do { try measure(&rows[index]) } catch { rows[index].failure = "\(error)" }
      }
    }
    print("Leaks, 50 ms a call: from the command's start until every leaked pair was seen to be refused")
    print("                                          N jobs   wall s    best  ideal s     /   CPU s")
    func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
    for row in rows {
      if let failure = row.failure {
        print("\(row.name): FAILED: \(failure)")
        continue
      }
      // What others ask meanwhile is not part of what a revocation needs.
      let quiet = rows.first { $0.credentials == row.credentials && $0.circumstance == .quiet }
      let ideal = quiet.flatMap { $0.ideals.isEmpty ? nil : median($0.ideals) } ?? .nan
      let walls = row.usages.map(\.wall)
      func cell(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
      }
      print(
        row.name + String(repeating: " ", count: max(0, 38 - row.name.count)) + cell("\(row.credentials)", 5)
          + cell("\(row.jobs)", 5) + cell(Table.number(median(walls), 3), 9)
          + cell(Table.number(walls.min() ?? .nan, 3), 8) + cell(Table.number(ideal, 3), 9)
          + cell(Table.number(median(walls) / ideal, 2), 6) + cell(Table.number(median(row.usages.map(\.cpu)), 3), 8)
          + (row.wasBusy ? "  (busy)" : ""))
    }
    print(
      """

      Target: at most 1.2 x ideal: calls that follow one another x 50 ms x ceil(N / jobs), and the administrator's grant, of the row
      without anything else. "Cron" is `rotate --due --jobs 32`, again and again, where all are due: it is overtaken. The full disk is a
      file system in memory without a free byte.
      """)
  }

  private func measure(_ row: inout Revoking) throws {
    let isDue = row.circumstance == .cron
    try org.reset(apps: few, latency: Self.latency)
    try vaults.renew(few, hasGrace: false, isDue: isDue)
    let load = Machine.load()
    let words =
      ["revoke", "--quiet", "--reason", "a benchmark", "--jobs", "\(row.jobs)"]
      // Not --all: the administrator cannot be rotated, and a person would be told to replace it.
      + (1...row.credentials).map(Vaults.name)
    let usage: Usage
    switch row.circumstance {
    case .quiet: usage = try workshop.run(vaults.command(words))
    case .cron: usage = try withCron { try workshop.run(vaults.command(words)) }
    case .fullDisk: usage = try onFullDisk { try workshop.run(vaults.command(words, vault: $0)) }
    }
    guard usage.code == 0 else {
      let errors = (try? String(contentsOfFile: workshop.path("stderr"), encoding: .utf8)) ?? ""
      throw BenchmarkError("it ended with \(usage.code): \(errors.suffix(500))")
    }
    if row.circumstance != .fullDisk { try vaults.requireNoLeak(row.credentials) }
    let counters = try org.counters()
    let waves = (row.credentials + row.jobs - 1) / row.jobs
    row.usages.append(usage)
    row.ideals.append(Double(counters["path"] * waves + 1) * Self.latency)
    row.wasBusy = row.wasBusy && load > 0.1
  }

  /// Runs `body` during a routine run, which is started again whenever it ends.
  private func withCron(_ body: () throws -> Usage) throws -> Usage {
    let command = vaults.command(["rotate", "--due", "--quiet", "--jobs", "32"]).map { "'\($0)'" }
    let loop = ["bash", "-c", "while true; do \(command.joined(separator: " ")); sleep 0.1; done"]
    let sink = open("/dev/null", O_RDWR | O_CLOEXEC)
    defer { close(sink) }
    let pid = try start(["setsid"] + loop, environment: workshop.environment, descriptors: [sink, sink, sink])
    defer {
      kill(-pid, SIGKILL)
      var status: Int32 = 0
      while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    }
    // Waits until it is in the middle of its first wave.
    usleep(400_000)
    return try body()
  }

  /// Runs `body` with the path of a copy of the vault on a file system that has no room left.
  private func onFullDisk(_ body: (_ vault: String) throws -> Usage) throws -> Usage {
    let disk = workshop.path("disk")
    try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
    guard mount("tmpfs", disk, "tmpfs", 0, "size=32m") == 0 else {
      throw BenchmarkError("a small disk could not be mounted: \(String(cString: strerror(errno)))")
    }
    defer { umount2(disk, Int32(MNT_DETACH)) }
    try workshop.output(["cp", "-a", vaults.current, disk + "/vault"])
    _ = try workshop.run(["dd", "if=/dev/zero", "of=\(disk)/full", "bs=4096", "status=none"])
    return try body(disk + "/vault")
  }
}
