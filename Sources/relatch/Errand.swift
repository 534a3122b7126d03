import Rotation

/// One credential and the goal of its run.
struct Errand: Sendable {
  let name: String
  let goal: RotationRunner.Goal
  /// The found versions to try as soon as the leak is noted.
  var found: [FoundVersion] = []
  /// The names of those that must have ended before it begins.
  var after: Set<String> = []
  /// Whether another errand of the same credential comes next.
  var isFollowed = false

  /// Whether it ends a leak that is noted already.
  var isNoted: Bool { if case .revoke(let revocation) = goal { revocation.isNoted } else { false } }

  /// One errand for each name, in order. A name that occurs twice is run once.
  static func each(_ names: [String], _ goal: RotationRunner.Goal) -> [Errand] {
    var seen: Set<String> = []
    return names.filter { seen.insert($0).inserted }.map { Errand(name: $0, goal: goal) }
  }
}

/// Errands, each of which begins when those that it waits for have ended.
struct ErrandQueue {
  /// What waits for nothing any more. The first `begun` of them have begun.
  private var ready: [Errand] = []
  private var begun = 0
  private var ended = 0
  /// By name, with how many they still wait for.
  private var waiting: [String: (errand: Errand, left: Int)] = [:]
  /// The names of those that wait, by the name of what they wait for.
  private var followers: [String: [String]] = [:]

  init(_ errands: [Errand]) {
    for errand in errands {
      guard !errand.after.isEmpty else {
        ready.append(errand)
        continue
      }
      waiting[errand.name] = (errand, errand.after.count)
      for name in errand.after { followers[name, default: []].append(errand.name) }
    }
    untangle()
  }

  /// How many have begun and not ended.
  var running: Int { begun - ended }

  /// The next that may begin, which then counts as running; nil if there is none at the moment.
  mutating func next() -> Errand? {
    guard begun < ready.count else { return nil }
    begun += 1
    return ready[begun - 1]
  }

  /// Notes that the one called `name` has ended, however it did.
  mutating func end(_ name: String) {
    ended += 1
    for follower in followers.removeValue(forKey: name) ?? [] {
      guard let (errand, left) = waiting[follower] else { continue }
      waiting[follower] = left > 1 ? (errand, left - 1) : nil
      if left == 1 { ready.append(errand) }
    }
    untangle()
  }

  /// Lets those begin that wait for each other: no vault has records that say so, but a damaged one must not keep a leak
  /// from being ended.
  private mutating func untangle() {
    guard begun == ready.count, running == 0 else { return }
    ready += waiting.values.map(\.errand).sorted { $0.name < $1.name }
    waiting = [:]
  }
}

/// How one errand ended.
struct ErrandResult: Sendable {
  let name: String
  let code: ExitCode
  /// The outcome's word, as `--json` has it; `failed` if there is none.
  let word: String
  /// The error with which standard output refused the result; nil if it took it.
  var untold: StreamError?
}
