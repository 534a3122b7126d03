/// One way to rotate many credentials.
struct Contender {
  enum Kind {
    /// Ours. Without grace, replaced pairs are deleted and seen to be refused in the same run.
    case relatch(grace: Bool)
    /// A program that is given the org's address, a file of pairs, how many to rotate at once, and `arguments`.
    case peer([String], arguments: [String])
  }

  let name: String
  let kind: Kind
  let credentials: Int
  let jobs: Int
  /// The verb that relatch is given.
  var verb = ["rotate"]
  /// What the figures should be, printed beside them.
  var target = ""
}

/// One run of a contender.
struct Run {
  let usage: Usage
  let counters: Org.Counters
  /// The share of the machine that others used, before or during the run.
  let load: Double

  var wasBusy: Bool { load > 0.1 }
}

/// All runs of a contender in one table.
struct Result {
  let contender: Contender
  let latency: Double
  var runs: [Run] = []
  var syncs: Int?
  var failure: String?

  /// The quiet runs; all runs if none was quiet.
  private var counted: [Run] {
    let quiet = runs.filter { !$0.wasBusy }
    return quiet.isEmpty ? runs : quiet
  }

  var wasBusy: Bool { runs.allSatisfy(\.wasBusy) }

  func median(_ value: (Run) -> Double) -> Double {
    let values = counted.map(value).sorted()
    return values.isEmpty ? .nan : values[values.count / 2]
  }

  var wall: Double { median(\.usage.wall) }
  var fastest: Double { counted.map(\.usage.wall).min() ?? .nan }
  var calls: Double { median { Double($0.counters["calls"]) / Double(contender.credentials) } }

  /// The least time that waiting for answers takes: for each wave of `jobs` the calls that follow one another, and the
  /// administrator's grant, whether made once or for each rotation.
  var ideal: Double {
    let waves = (contender.credentials + contender.jobs - 1) / contender.jobs
    return median { run in
      let grants = run.counters["admin_grants"]
      let chain = run.counters["path"] + grants / contender.credentials
      return Double(chain * waves + (grants % contender.credentials > 0 ? 1 : 0)) * latency
    }
  }
}
