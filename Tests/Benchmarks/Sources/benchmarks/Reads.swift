import Foundation

/// What commands that rotate nothing cost in vaults of several sizes, and how reading one secret compares with other
/// programs.
struct Reads {
  let workshop: Workshop
  let relatch: String
  /// Turns an empty vault into a large one.
  let maker: [String]
  /// The folder in which large vaults are kept for the next time.
  let vaults: String
  let places: [String: String]
  let isShort: Bool
  /// Whether to make the vaults and measure nothing.
  let isMaking: Bool

  private var largest: Int { isShort ? 10_000 : 100_000 }
  private var rounds: Int { isShort ? 10 : 40 }

  /// The words for the vault of so many credentials, or for another one by its folder.
  private func words(_ arguments: [String], _ vault: Int) -> [String] { words(arguments, "\(vaults)/\(vault)") }

  private func words(_ arguments: [String], _ vault: String) -> [String] {
    [relatch] + arguments + ["--vault", vault, "--identity", vaults + "/identity"]
  }

  /// The folder of the vault whose credentials are as they were added, with one version and one entry each.
  private var added: String { vaults + "/10000-added" }

  private static func name(_ vault: Int) -> String { "crm-\(String(1_000_000 + vault / 2).dropFirst())" }

  func run() throws {
    print("\(Machine.description)\n")
    try FileManager.default.createDirectory(atPath: vaults, withIntermediateDirectories: true)
    let wanted = Set([100, 10_000, largest]).sorted().map { ("\(vaults)/\($0)", $0, [String]()) }
    for (vault, count, flags) in wanted + [(added, 10_000, ["--added"])] {
      if !FileManager.default.fileExists(atPath: vault + "/made") {
        Benchmarks.progress("making a vault of \(count) credentials")
        try? FileManager.default.removeItem(atPath: vault)
        try workshop.output(words(["init", "--no-passphrase"], vault))
        try workshop.output(maker + [vault, vaults + "/identity", "\(count)"] + flags)
        try workshop.output(words(["log", "verify"], vault))
        try workshop.output(["touch", vault + "/made"])
      }
      // The first command that sees a log verifies all of it: this must not happen again while measuring.
      try workshop.output(words(["show", Self.name(count)], vault))
    }
    if isMaking { return }
    try printPeers()
    try printRenewals()
    try printSizes()
  }

  /// Runs commands in turns, each in its own process; returns the usages of each.
  private func measure(_ commands: [[String]], rounds: Int) throws -> [[Usage]] {
    var usages = commands.map { _ in [Usage]() }
    for _ in 1...rounds {
      for (index, command) in commands.enumerated() {
        let usage = try workshop.run(command)
        guard usage.code == 0 else {
          let errors = (try? String(contentsOfFile: workshop.path("stderr"), encoding: .utf8)) ?? ""
          throw BenchmarkError("\(command.joined(separator: " ")) ended with \(usage.code): \(errors)")
        }
        usages[index].append(usage)
      }
    }
    return usages
  }

  private static func median(_ usages: [Usage], _ value: (Usage) -> Double) -> Double {
    usages.map(value).sorted()[usages.count / 2]
  }

  private static func pad(_ text: String, _ width: Int) -> String {
    let space = String(repeating: " ", count: max(0, abs(width) - text.count))
    return width < 0 ? text + space : space + text
  }

  // MARK: - Compared with other programs

  private func printPeers() throws {
    let read = words(["read", Self.name(10_000), "--field", "client_secret"], 10_000)
    let secret = try workshop.output(read)
    var contenders = [("relatch read, 1 of 10,000", read)]
    contenders += try age(secret) + pass(secret)
    contenders.append(("relatch list, 10,000", words(["list"], 10_000)))
    for (name, command) in contenders.dropFirst().dropLast() {
      guard try workshop.output(command).contains(secret.trimmingCharacters(in: .whitespacesAndNewlines)) else {
        throw BenchmarkError("\(name) printed another secret")
      }
    }
    Benchmarks.progress("reading one secret")
    _ = try measure(contenders.map(\.1), rounds: 2)
    let load = Machine.load()
    let usages = try measure(contenders.map(\.1), rounds: rounds)
    print("One secret, a process each: medians of \(rounds) in turns\(load > 0.1 ? " (busy)" : "")")
    print(Self.row(["", "wall ms", "best", "CPU ms", "RSS MiB", "syncs", "/ age", "/ pass"]))
    func wall(_ prefix: String) -> Double? {
      contenders.firstIndex { $0.0.hasPrefix(prefix) }.map { Self.median(usages[$0], \.wall) }
    }
    for (index, contender) in contenders.enumerated() {
      let isOurs = contender.0.hasPrefix("relatch")
      let isRead = contender.0.hasPrefix("relatch read")
      let median = Self.median(usages[index], \.wall)
      func ratio(to peer: String) -> String {
        isRead ? wall(peer).map { Table.number(median / $0, 2) } ?? "-" : ""
      }
      let syncs = isOurs ? try workshop.syncs(contender.1).map(String.init) ?? "-" : "-"
      print(
        Self.row([
          contender.0, Table.number(median * 1000, 2),
          Table.number((usages[index].map(\.wall).min() ?? .nan) * 1000, 2),
          Table.number(Self.median(usages[index], \.cpu) * 1000, 2),
          Table.number(Self.median(usages[index], \.peak), 1), syncs, ratio(to: "age"), ratio(to: "pass"),
        ]))
    }
    // Only the agent of this folder.
    if places["pass"] != nil { try workshop.output(["gpgconf", "--kill", "gpg-agent"]) }
    print(
      """
      Targets: read at most 1.25 x age and 0.35 x pass, 4 ms CPU, 12 MiB, 2 syncs; list 15 ms CPU.
      Libraries that `read` opens: \(try libraries(read).joined(separator: " "))

      """)
  }

  private static func row(_ cells: [String]) -> String {
    zip([-28, 10, 8, 8, 9, 7, 8, 8], cells).map { pad($1, $0) }.joined()
  }

  private func age(_ secret: String) throws -> [(String, [String])] {
    guard let age = places["age"] else { return [] }
    let key = workshop.path("age.key")
    try workshop.output([age + "-keygen", "-o", key])
    try workshop.output([age, "-e", "-i", key, "-o", workshop.path("secret.age")], input: secret)
    return [("age -d, one file", [age, "-d", "-i", key, workshop.path("secret.age")])]
  }

  /// Makes a store of 10,000 equal files, sealed to a user's key that has no passphrase.
  private func pass(_ secret: String) throws -> [(String, [String])] {
    guard let pass = places["pass"] else { return [] }
    let store = workshop.path(".password-store")
    try FileManager.default.createDirectory(
      atPath: workshop.path(".gnupg"), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let user = "bench@example.org"
    let generate = ["--quick-generate-key", user, "default", "default"]
    try workshop.output(["gpg", "--batch", "--quiet", "--passphrase", ""] + generate)
    try workshop.output([pass, "init", user])
    try workshop.output([pass, "insert", "-m", "first"], input: secret)
    for number in 1...10_000 {
      try FileManager.default.copyItem(
        atPath: store + "/first.gpg", toPath: "\(store)/crm-\(String(1_000_000 + number).dropFirst()).gpg")
    }
    return ["pass", "gopass"].compactMap { name in
      places[name].map { ("\(name) show, 1 of 10,000", [$0, "show", Self.name(10_000)]) }
    }
  }

  /// The shared objects that a command opens.
  private func libraries(_ command: [String]) throws -> [String] {
    let trace = workshop.path("opened")
    guard let usage = try? workshop.run(["strace", "-f", "-e", "trace=openat,open", "-o", trace] + command),
      usage.code == 0
    else { return ["not known without strace"] }
    let lines = try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n")
    let names = lines.filter { $0.contains(".so") && !$0.contains("ENOENT") && !$0.contains("ld.so.cache") }
      .compactMap { $0.split(separator: "\"").dropFirst().first?.split(separator: "/").last.map(String.init) }
    return Set(names).sorted()
  }

  // MARK: - Renewing every key

  private func printRenewals() throws {
    print("Every key anew in one durable step (`rekey`), medians of 5 processes")
    print(Self.row(["", "wall ms", "best", "CPU ms", "RSS MiB", "syncs"]))
    for (name, vault) in [("10,000, 5 versions each", vaults + "/10000"), ("10,000, as they were added", added)] {
      Benchmarks.progress("renewing every key")
      let load = Machine.load()
      let usages = try (1...5).map { _ in
        let command = try renewal(of: vault)
        return try measure([command], rounds: 1)[0][0]
      }
      let syncs = try workshop.syncs(renewal(of: vault)).map(String.init) ?? "-"
      print(
        Self.row([
          name, Table.number(Self.median(usages, \.wall) * 1000, 0),
          Table.number((usages.map(\.wall).min() ?? .nan) * 1000, 0),
          Table.number(Self.median(usages, \.cpu) * 1000, 0), Table.number(Self.median(usages, \.peak), 1), syncs,
        ]) + (load > 0.1 ? "  (busy)" : ""))
    }
    print("Target: 500 ms.\n")
  }

  /// The command that renews the keys of a fresh copy. An identity that has seen a vault's keys renewed would take the
  /// vault from before for an older copy.
  private func renewal(of vault: String) throws -> [String] {
    let (copy, state) = (workshop.path("renewed"), workshop.path("renewed-state"))
    for (original, place) in [(vault, copy), (workshop.path("state"), state)] {
      try? FileManager.default.removeItem(atPath: place)
      try FileManager.default.copyItem(atPath: original, toPath: place)
    }
    return ["env", "XDG_STATE_HOME=" + state] + words(["rekey"], copy)
  }

  // MARK: - Sizes

  private func printSizes() throws {
    let small = 100
    let verbs: [(name: String, arguments: (Int) -> [String], rounds: Int)] = [
      ("read", { ["read", Self.name($0), "--field", "client_secret"] }, rounds),
      ("rotate --due, nothing due", { _ in ["rotate", "--due"] }, rounds),
      ("show", { ["show", Self.name($0)] }, rounds),
      ("status NAME", { ["status", Self.name($0)] }, rounds),
      ("status", { _ in ["status"] }, 1),
      ("list", { _ in ["list"] }, 1),
      ("log verify", { _ in ["log", "verify"] }, 1),
    ]
    print("Vaults of \(small) and \(largest) credentials with 5 versions and 10 log entries each")
    print("Medians of \(rounds) processes in turns; of status, list and log verify one")
    print(Self.line(["", "wall ms", "CPU ms", "RSS MiB", "wall ms", "CPU ms", "RSS MiB", "CPU x", "RSS x"]))
    for verb in verbs {
      Benchmarks.progress("sizes: \(verb.name)")
      let commands = [small, largest].map { words(verb.arguments($0), $0) }
      if verb.rounds > 1 { _ = try measure(commands, rounds: 1) }
      let load = Machine.load()
      let usages = try measure(commands, rounds: verb.rounds)
      let figures = usages.map { usages in
        [\Usage.wall, \.cpu, \.peak].map { path in Self.median(usages) { $0[keyPath: path] } }
      }
      let cells = figures.flatMap { figures in
        [Table.number(figures[0] * 1000, 2), Table.number(figures[1] * 1000, 2), Table.number(figures[2], 1)]
      }
      let ratios = [1, 2].map { Table.number(figures[1][$0] / figures[0][$0], 2) }
      print(Self.line([verb.name] + cells + ratios) + (load > 0.1 ? "  (busy)" : ""))
    }
    print("Targets: read and rotate --due grow by at most 1.2 x; the memory of read does not grow.\n")
  }

  private static func line(_ cells: [String]) -> String {
    zip([-27, 9, 9, 9, 11, 11, 9, 8, 7], cells).map { pad($1, $0) }.joined()
  }
}
