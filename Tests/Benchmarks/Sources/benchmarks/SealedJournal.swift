import Foundation
import Glibc

/// A sealed systemd journal with the entries of a log, one in each message, to be verified beside that log.
struct SealedJournal {
  let workshop: Workshop
  /// `systemd-journal-remote`, which writes journals without a running `systemd-journald`.
  let writer: String
  /// The files of the journal, which is split as it grows.
  let files: [String]
  private let key: String

  /// Writes `entries`, a file with one entry a line. Sealing takes its key from a folder of the machine that only root
  /// can make; what was not there before is removed again. Throws if this machine already has a key of its own.
  init(of entries: String, writer: String, workshop: Workshop) throws {
    self.workshop = workshop
    self.writer = writer
    guard geteuid() == 0 else { throw BenchmarkError("sealing a journal takes root") }
    let manager = FileManager.default
    let machine = (try? String(contentsOfFile: "/etc/machine-id", encoding: .utf8))?.filter(\.isHexDigit) ?? ""
    guard machine.count == 32 else { throw BenchmarkError("this machine has no machine-id") }
    let keys = "/var/log/journal/\(machine)"
    guard !manager.fileExists(atPath: keys + "/fss") else {
      throw BenchmarkError("this machine seals its own journal, and its key is left alone")
    }
    let hadFolder = manager.fileExists(atPath: keys)
    try manager.createDirectory(atPath: keys, withIntermediateDirectories: true)
    defer { try? manager.removeItem(atPath: hadFolder ? keys + "/fss" : keys) }
    let made = try workshop.output(["journalctl", "--setup-keys", "--interval=15min"])
    guard let key = made.split(separator: "\n").last(where: { $0.contains("/") }) else {
      throw BenchmarkError("journalctl gave no key: \(made)")
    }
    self.key = String(key)

    let folder = workshop.path("journal")
    try? manager.removeItem(atPath: folder)
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Self.export(entries, to: folder + "/entries.export")
    try workshop.output([writer, "--seal=yes", "-o", folder + "/log.journal", folder + "/entries.export"])
    try manager.removeItem(atPath: folder + "/entries.export")
    files = try manager.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".journal") }.sorted()
      .map { folder + "/" + $0 }
  }

  /// systemd's export format: one field a line, and an empty line after each entry.
  private static func export(_ entries: String, to path: String) throws {
    guard let input = fopen(entries, "r"), let output = fopen(path, "w") else {
      throw BenchmarkError("the log could not be exported")
    }
    defer { fclose(input) }
    let boot =
      (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8))?
      .filter(\.isHexDigit) ?? String(repeating: "0", count: 31) + "1"
    let start = Int(Date().timeIntervalSince1970 * 1e6)
    var (line, size, number) = (UnsafeMutablePointer<CChar>?.none, 0, 0)
    defer { free(line) }
    while getline(&line, &size, input) > 0, let text = line {
      number += 1
      fputs(
        "__REALTIME_TIMESTAMP=\(start + number)\n__MONOTONIC_TIMESTAMP=\(number)\n_BOOT_ID=\(boot)\nMESSAGE=", output)
      // The text includes its newline.
      fputs(text, output)
      fputs("\n", output)
    }
    guard fclose(output) == 0 else { throw BenchmarkError("the export could not be written") }
  }

  /// Verifies the whole journal with a program started after `prefix`; returns the total time, and the peak of the
  /// largest process.
  func verify(_ prefix: [String]) throws -> Usage {
    var (wall, cpu, peak) = (0.0, 0.0, 0.0)
    for file in files {
      let usage = try workshop.run(prefix + ["journalctl", "--verify", "--verify-key=\(key)", "--file=\(file)"])
      guard usage.code == 0 else { throw BenchmarkError("journalctl --verify ended with \(usage.code)") }
      (wall, cpu, peak) = (wall + usage.wall, cpu + usage.cpu, max(peak, usage.peak))
    }
    return Usage(code: 0, wall: wall, cpu: cpu, peak: peak)
  }
}
