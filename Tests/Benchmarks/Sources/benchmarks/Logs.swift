import Foundation

/// What verifying a log costs, compared with hashing it and with verifying a sealed journal of as many entries. They
/// take turns on the same processor.
struct Logs {
  let workshop: Workshop
  let relatch: String
  let maker: [String]
  /// The program that hashes lines and does nothing else.
  let floor: String
  /// `systemd-journal-remote`; nil if there is none.
  let journalWriter: String?
  let vaults: String
  let isShort: Bool

  private var count: Int { isShort ? 10_000 : 100_000 }
  private var rounds: Int { isShort ? 1 : 3 }

  /// On one processor, because both are the work of one thread and so get the same share.
  private static let pinned = ["taskset", "--cpu-list", "0"]

  func run() throws {
    print("\(Machine.description)\n")
    let vault = "\(vaults)/\(count)"
    let options = ["--vault", vault, "--identity", vaults + "/identity"]
    try FileManager.default.createDirectory(atPath: vaults, withIntermediateDirectories: true)
    if !FileManager.default.fileExists(atPath: vault + "/made") {
      Benchmarks.progress("making a vault of \(count) credentials")
      try? FileManager.default.removeItem(atPath: vault)
      try workshop.output([relatch, "init", "--no-passphrase"] + options)
      try workshop.output(maker + [vault, vaults + "/identity", "\(count)"])
      try workshop.output(["touch", vault + "/made"])
    }
    let entries = workshop.path("entries")
    try workshop.output([relatch, "log", "export"] + options)
    try FileManager.default.moveItem(atPath: workshop.path("stdout"), toPath: entries)

    let journal = journal(of: entries)
    Benchmarks.progress("verifying its log")
    var (floors, usages, journals) = ([(wall: Double, cpu: Double)](), [Usage](), [Usage]())
    var leaves = ""
    let load = Machine.load()
    for _ in 1...rounds {
      try workshop.output(Self.pinned + [floor, entries, workshop.path("time")])
      let words = try String(contentsOfFile: workshop.path("time"), encoding: .utf8).split(
        whereSeparator: \.isWhitespace)
      guard words.count == 3, let wall = Double(words[1]), let cpu = Double(words[2]) else {
        throw BenchmarkError("the floor was not measured")
      }
      leaves = String(words[0])
      floors.append((wall / 1e9, cpu / 1e9))
      // Without anything remembered, all of the log is verified.
      try? FileManager.default.removeItem(atPath: workshop.path("state"))
      let usage = try workshop.run(Self.pinned + [relatch, "log", "verify"] + options)
      guard usage.code == 0 else { throw BenchmarkError("log verify ended with \(usage.code)") }
      usages.append(usage)
      if let journal { journals.append(try journal.verify(Self.pinned)) }
    }
    print(
      "The log of \(count) credentials, \(leaves) entries, on one processor: medians of \(rounds) in turns"
        + (load > 0.1 ? " (busy)" : ""))
    func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
    func line(_ name: String, _ wall: Double, _ cpu: Double, _ rest: String = "") {
      let space = String(repeating: " ", count: max(0, 36 - name.count))
      print("\(name)\(space)\(Table.number(wall, 3)) s, CPU \(Table.number(cpu, 3)) s\(rest)")
    }
    let (hashing, hashingCPU) = (median(floors.map(\.wall)), median(floors.map(\.cpu)))
    let (verifying, verifyingCPU) = (median(usages.map(\.wall)), median(usages.map(\.cpu)))
    line("floor: leaves and nodes, libsodium", hashing, hashingCPU)
    line(
      "relatch log verify", verifying, verifyingCPU,
      ", \(Table.number(median(usages.map(\.peak)), 1)) MiB; \(Table.number(verifying / hashing, 2)) x the floor, CPU "
        + "\(Table.number(verifyingCPU / hashingCPU, 2)) x")
    if let journal, !journals.isEmpty {
      line(
        "journalctl --verify, sealed", median(journals.map(\.wall)), median(journals.map(\.cpu)),
        ", \(Table.number(median(journals.map(\.peak)), 1)) MiB; \(journal.files.count) files")
      for file in journal.files { try? FileManager.default.removeItem(atPath: file) }
    }
    print("Targets: at most 1.5 x the floor, and 32 MiB.")
  }

  private func journal(of entries: String) -> SealedJournal? {
    guard let journalWriter else { return nil }
    Benchmarks.progress("writing a sealed journal of as many entries")
    do { return try SealedJournal(of: entries, writer: journalWriter, workshop: workshop) } catch {
      Benchmarks.progress("left out: journalctl --verify: \(error)")
      return nil
    }
  }
}
