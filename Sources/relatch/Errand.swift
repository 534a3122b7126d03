import Rotation

/// One credential and the goal of its run.
struct Errand: Sendable {
  let name: String
  let goal: RotationRunner.Goal
  /// The found versions to try as soon as the leak is noted.
  var found: [FoundVersion] = []
  /// Whether another errand of the same credential comes next.
  var isFollowed = false

  /// One errand for each name, in order. A name that occurs twice is run once.
  static func each(_ names: [String], _ goal: RotationRunner.Goal) -> [Errand] {
    var seen: Set<String> = []
    return names.filter { seen.insert($0).inserted }.map { Errand(name: $0, goal: goal) }
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
