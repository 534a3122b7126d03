import Rotation

/// One credential, and what it is to be brought to.
struct Errand: Sendable {
  let name: String
  let goal: RotationRunner.Goal
  /// What to try as soon as the leak is noted.
  var found: [FoundVersion] = []
  /// Whether another errand of the same credential comes next.
  var isFollowed = false

  /// One errand for each name, in order; a name that stands twice is run once.
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
  /// What standard output said where it did not take that; nil where it did.
  var untold: StreamError?
}
