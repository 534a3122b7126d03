import Foundation
import Glibc

/// Rotates many credentials at an org that answers after a fixed time, with `relatch` and with other programs in turns.
@main struct Benchmarks {
  let org: Org
  let workshop: Workshop
  let vaults: Vaults
  let places: [String: String]
  let isShort: Bool
  let hasJobs: Bool

  static func main() throws {
    do {
      let benchmarks = try Benchmarks(CommandLine.arguments)
      if CommandLine.arguments.contains("--log") {
        try benchmarks.appending()?.run()
        try benchmarks.logs().run()
      } else if CommandLine.arguments.contains("--leaks") {
        try benchmarks.runLeaks()
      } else if CommandLine.arguments.contains("--reads") {
        try benchmarks.reads().run()
      } else {
        try benchmarks.run()
      }
    } catch {
      progress("error: \(error)")
      exit(1)
    }
  }

  /// `NAME=PATH` for what `run` built or found, with `work` for a folder that is emptied; `--short`, `--log`,
  /// `--leaks`, `--reads`, `--make`.
  init(_ arguments: [String]) throws {
    places = Dictionary(
      arguments.dropFirst().compactMap { word in
        word.firstIndex(of: "=").map { (String(word[..<$0]), String(word[word.index(after: $0)...])) }
      }
    ) { $1 }
    isShort = arguments.contains("--short")
    guard let relatch = places["relatch"], let program = places["org"], let measure = places["measure"],
      let work = places["work"]
    else {
      throw BenchmarkError("start it with Tests/Benchmarks/run")
    }
    workshop = try Workshop(at: work, measure: measure)
    vaults = Vaults(relatch: relatch, workshop: workshop)
    org = try Org(program)
    hasJobs = try workshop.output([relatch, "rotate", "--help"]).contains("--jobs")
  }

  private func reads() throws -> Reads {
    guard let relatch = places["relatch"], let maker = places["maker"], let python = places["nacl-python"],
      let vaults = places["vaults"]
    else {
      throw BenchmarkError("large vaults are made by Python 3 with PyNaCl (Debian: python3-nacl)")
    }
    return Reads(
      workshop: workshop, relatch: relatch, maker: [python, maker], vaults: vaults, places: places, isShort: isShort,
      isMaking: CommandLine.arguments.contains("--make"))
  }

  private func logs() throws -> Logs {
    guard let relatch = places["relatch"], let maker = places["maker"], let python = places["nacl-python"],
      let floor = places["hash-floor"], let vaults = places["vaults"]
    else {
      throw BenchmarkError("large vaults are made by Python 3 with PyNaCl (Debian: python3-nacl)")
    }
    return Logs(
      workshop: workshop, relatch: relatch, maker: [python, maker], floor: floor,
      journalWriter: places["journal-remote"], vaults: vaults, isShort: isShort)
  }

  private func appending() throws -> Appending? {
    guard let program = places["appends"], let floor = places["commit-floor"] else { return nil }
    return Appending(workshop: workshop, program: program, floor: floor, isShort: isShort)
  }

  var few: Int { isShort ? 50 : 200 }
  private var many: Int { isShort ? 200 : 1000 }
  var rounds: Int { isShort ? 1 : 3 }

  func run() throws {
    print("\(Machine.description)\n")
    if !hasJobs { print("This relatch has no --jobs: it rotates one after the other.\n") }
    try org.reset(apps: many, latency: 0)
    Self.progress("making vaults of \(few) and \(many) credentials")
    for count in [few, many] { try vaults.make(count, of: org) }
    try vaults.make(few, hasGrace: false, of: org)
    try writePairs(many)
    try printSingle()
    try printTable("\(few) credentials, 50 ms a call", latency: 0.05, slowContenders())
    try printTable("\(few) and \(many) credentials, 0 ms a call", latency: 0, fastContenders())
    print(Self.legend)
  }

  private static let legend = """
    N           credentials rotated; jobs: at most so many at once
    wall s      median of the rounds, whole processes; best: the fastest
    calls       HTTP calls for each credential, as the org counted them
    ideal s     calls that follow one another x latency x ceil(N / jobs), and the administrator's grant; / its quotient
    CPU s       user and system time of the contender alone
    RSS         MiB, of the largest process
    load        what others used of all processors, before or during the run, in per cent
    syncs       fdatasync and fsync calls, counted by strace in a run of their own
    (busy)      more than 10 per cent in every round: the times mean little, CPU s and syncs more

    A run counts only if the org saw every pair staged, then granted a token, then promoted, and no error. After each
    run of relatch its vault is checked: every credential promoted, the log whole, pairs the same as the org's. "Old
    refused" has no grace: the same run deletes the old pairs and sees them refused. The others store nothing; "4 calls"
    are stage, grant, promote and delete without looking at what the org has, "10 calls" those of relatch up to the
    verified promotion.
    Targets are printed beside and judge nothing.
    """

  // MARK: - Contenders

  private static let fourCalls = "sgpd"
  /// The engine's calls: look and stage; prove; look and promote; look; prove.
  private static let sameCalls = "clsgclpclg"

  private func relatch(_ jobs: Int, _ credentials: Int, _ target: String = "") -> Contender {
    Contender(
      name: "relatch --jobs \(jobs)", kind: .relatch(grace: true), credentials: credentials,
      jobs: hasJobs ? jobs : 1, target: target)
  }

  private func relatchWithoutGrace(_ jobs: Int, _ credentials: Int) -> Contender {
    Contender(
      name: "relatch --jobs \(jobs), old refused", kind: .relatch(grace: false), credentials: credentials,
      jobs: hasJobs ? jobs : 1)
  }

  private func floor(_ jobs: Int, _ credentials: Int, _ steps: String = sameCalls) -> [Contender] {
    places["floor"].map { program in
      Contender(
        name: "floor: libcurl in C, \(steps.count) calls", kind: .peer([program], arguments: [steps]),
        credentials: credentials, jobs: jobs)
    }.map { [$0] } ?? []
  }

  private func bash(_ jobs: Int, _ credentials: Int) -> [Contender] {
    guard let peers = places["bash-peers"] else { return [] }
    return [
      Contender(
        name: "bash, curl, jq\(jobs > 1 ? ", xargs -P" : ""), 4 calls",
        kind: .peer([peers + "/rotate.sh"], arguments: []), credentials: credentials, jobs: jobs)
    ]
  }

  private func python(_ library: String, _ jobs: Int, _ credentials: Int, _ steps: String = fourCalls) -> [Contender] {
    guard let peers = places["python-peers"], let python = places["python"] else { return [] }
    return [
      Contender(
        name: "python \(library), \(steps.count) calls",
        kind: .peer([python, "\(peers)/rotate_\(library).py"], arguments: library == "aiohttp" ? [steps] : []),
        credentials: credentials, jobs: jobs)
    ]
  }

  /// Contenders that rotate one after another get fewer credentials, because their time is proportional.
  private func slowContenders() -> [Contender] {
    let sequential = isShort ? 5 : 20
    return
      (hasJobs
      ? [
        relatch(64, few, "at most 1.05 x ideal"), relatch(200, few, "at most 1.3 x ideal"),
        relatchWithoutGrace(64, few),
      ] : [relatch(1, sequential), relatchWithoutGrace(1, sequential)])
      + floor(64, few) + floor(200, few)
      + python("aiohttp", 64, few, Self.sameCalls) + python("aiohttp", 256, few, Self.sameCalls)
      + python("aiohttp", 64, few) + python("aiohttp", 256, few)
      + python("requests", 16, few) + python("requests", 1, sequential)
      + bash(16, isShort ? 16 : 64) + bash(1, sequential / 2)
  }

  private func fastContenders() -> [Contender] {
    (hasJobs
      ? [16, 64, 200].map { relatch($0, few, "at least 1,500 a second") }
        + [relatch(64, many, "at least 1,500 a second")]
      : [relatch(1, 50, "at least 1,500 a second")])
      + floor(64, few) + floor(64, many)
      + python("aiohttp", 64, few, Self.sameCalls) + python("aiohttp", 64, few) + python("aiohttp", 64, many)
      + python("requests", 16, few) + python("requests", 1, few)
      + bash(16, isShort ? 16 : 64) + bash(1, isShort ? 5 : 20)
  }

  // MARK: - Running

  static func progress(_ text: String) {
    fflush(nil)
    FileHandle.standardError.write(Data("benchmarks: \(text)\n".utf8))
  }

  private func pairsFile(_ count: Int) -> String { workshop.path("pairs-\(count)") }

  private func writePairs(_ count: Int) throws {
    let lines = try (0...count).map { number in
      let app = try org.app(number)
      return "\(app.app) \(app.consumer) \(app.id) \(app.secret)\n"
    }
    for size in 1...count where size <= few || size == count {
      try lines.prefix(size + 1).joined().write(toFile: pairsFile(size), atomically: false, encoding: .utf8)
    }
  }

  /// The size of the smallest vault that has so many credentials.
  private func vaultSize(_ credentials: Int) -> Int { credentials <= few ? few : many }

  private func rotation(_ contender: Contender) -> [String] {
    let all = contender.credentials == vaultSize(contender.credentials)
    return contender.verb + ["--quiet"] + (hasJobs ? ["--jobs", "\(contender.jobs)"] : [])
      + (all ? ["--all"] : (1...contender.credentials).map(Vaults.name))
  }

  private func prepare(_ contender: Contender, latency: Double) throws -> [String] {
    try org.reset(apps: many, latency: latency)
    switch contender.kind {
    case .relatch(let hasGrace):
      try vaults.renew(vaultSize(contender.credentials), hasGrace: hasGrace)
      return vaults.command(rotation(contender))
    case .peer(let program, let arguments):
      return program + [org.url, pairsFile(contender.credentials), "\(contender.jobs)"] + arguments
    }
  }

  private func run(_ contender: Contender, latency: Double) throws -> Run {
    let words = try prepare(contender, latency: latency)
    let loadBefore = Machine.load()
    let (busy, orgTime) = (Machine.busySeconds(), try org.counters().cpu)
    let usage = try workshop.run(words)
    let counters = try org.counters()
    let others = Machine.busySeconds() - busy - usage.cpu - (counters.cpu - orgTime)
    // Ticks of 10 ms say little about a short run.
    let loadMeanwhile = usage.wall > 0.3 ? others / (usage.wall * Double(Machine.processors)) : 0
    guard usage.code == 0, counters["completed"] == contender.credentials, counters["errors"] == 0,
      counters["unproved"] == 0
    else {
      let errors = (try? String(contentsOfFile: workshop.path("stderr"), encoding: .utf8)) ?? ""
      throw BenchmarkError(
        "\(contender.name) ended with \(usage.code); the org saw \(counters.values); it said: \(errors.suffix(500))")
    }
    if case .relatch(let hasGrace) = contender.kind {
      try vaults.check(contender.credentials, state: hasGrace ? "owed" : "settled", with: org)
      guard hasGrace || (counters["retired"] == contender.credentials && counters["refused"] >= contender.credentials)
      else { throw BenchmarkError("\(contender.name): the org saw \(counters.values)") }
    }
    return Run(usage: usage, counters: counters, load: max(loadBefore, loadMeanwhile))
  }

  private func countSyncs(_ contender: Contender, latency: Double) throws -> Int? {
    guard case .relatch = contender.kind else { return nil }
    _ = try prepare(contender, latency: latency)
    return try vaults.syncs(rotation(contender))
  }

  /// The contenders take turns, so that a busy minute affects all of them.
  private func printTable(_ title: String, latency: Double, _ contenders: [Contender]) throws {
    var results = contenders.map { Result(contender: $0, latency: latency) }
    for round in 1...rounds {
      for index in results.indices where results[index].failure == nil {
        Self.progress("\(title): round \(round) of \(rounds), \(results[index].contender.name)")
        do { results[index].runs.append(try run(results[index].contender, latency: latency)) } catch {
          results[index].failure = "\(error)"
        }
      }
    }
    for index in results.indices where results[index].failure == nil {
      results[index].syncs = try countSyncs(results[index].contender, latency: latency)
    }
    print(title)
    print(Table.heading)
    for result in results { print(Table.row(result)) }
    print()
  }

  /// Prints what one rotation alone costs, at an org that answers at once.
  private func printSingle() throws {
    Self.progress("single rotations")
    try org.reset(apps: many, latency: 0)
    try vaults.renew(few)
    let size = try vaults.logSize()
    let names = (1...(isShort ? 5 : 20)).map(Vaults.name)
    let load = Machine.load()
    var usages: [Usage] = []
    for name in names {
      let usage = try workshop.run(vaults.command(["rotate", "--quiet", name]))
      guard usage.code == 0 else { throw BenchmarkError("relatch rotate \(name) ended with \(usage.code)") }
      usages.append(usage)
    }
    let counters = try org.counters()
    guard counters["completed"] == names.count, counters["errors"] == 0 else {
      throw BenchmarkError("single rotations: the org saw \(counters.values)")
    }
    let entries = try vaults.logSize() - size
    let syncs = try vaults.syncs(["rotate", "--quiet", Vaults.name(names.count + 1)])
    func median(_ value: (Usage) -> Double) -> Double { usages.map(value).sorted()[usages.count / 2] }
    let lines = [
      ("HTTP calls", Table.number(Double(counters["calls"]) / Double(names.count), 1)),
      ("log entries", Table.number(Double(entries) / Double(names.count), 1)),
      ("fdatasync and fsync", syncs.map(String.init) ?? "no strace"),
      ("CPU ms", Table.number(median(\.cpu) * 1000, 1)),
      ("wall ms", Table.number(median(\.wall) * 1000, 1) + (load > 0.1 ? " (busy)" : "")),
      ("RSS MiB", Table.number(median(\.peak), 1)),
    ]
    print("relatch rotate NAME, 0 ms a call: median of \(names.count) processes")
    for (name, value) in lines { print("  \(name.padding(toLength: 22, withPad: " ", startingAt: 0))\(value)") }
    print()
  }
}
