import Testing

/// A line of a report: what broke the table, and where.
struct LayerViolation: Hashable, CustomStringConvertible {
  let file: String
  let module: String
  let imported: String

  var description: String { "\(file): \(module) may not import \(imported)" }
}

/// Every import of `file` that `layers` does not list for its target.
func violations(in file: SourceFile, of layers: [Layer]) -> [LayerViolation] {
  let allowed = layers.first { $0.target == file.target }?.mayImport ?? []
  return file.imports.filter { !allowed.contains($0) }
    .map { LayerViolation(file: file.path, module: file.target, imported: $0) }
}

/// Words that only certain files may have, or none.
struct WordRule: Sendable, CustomTestStringConvertible {
  let words: [String]
  /// The only files that may have them; a path that ends in `/` means a folder.
  let places: [String]
  let reason: String

  var testDescription: String { words.joined(separator: ", ") }

  /// The words of this rule that `file` has and must not have.
  func violations(in file: SourceFile) -> [String] {
    if places.contains(where: { $0.hasSuffix("/") ? file.path.hasPrefix($0) : file.path == $0 }) { return [] }
    return words.filter { word in
      file.code.ranges(of: word).contains { range in
        // `Date()` is not in `setDate()`.
        guard range.lowerBound > file.code.startIndex, word.first?.isLetter == true else { return true }
        let before = file.code[file.code.index(before: range.lowerBound)]
        return !(before.isLetter || before.isNumber || before == "_")
      }
    }
  }
}

let wordRules = [
  WordRule(
    words: ["randombytes_", "getentropy", "getrandom", "SystemRandomNumberGenerator", "arc4random", "UUID()"],
    places: ["Sodium/Randomness.swift", "OrgSimulator/OrgRandomness.swift"],
    reason: "chance is an argument, so that a test can fix it"),
  WordRule(
    words: [
      "clock_gettime", "gettimeofday", "time(nil)", "Date()", "Date.now", "ContinuousClock", "SuspendingClock",
      "DispatchTime.now", "DispatchWallTime.now",
    ],
    places: ["relatch/Process/WallClock.swift", "OrgSimulator/OrgClock.swift"],
    reason: "time is an argument, so that a test can fix it"),
  WordRule(
    words: ["Task.sleep"], places: ["relatch/Process/WallClock.swift", "OrgSimulator/FaultyResponse.swift"],
    reason: "waiting is an argument, so that a test need not wait"),
  WordRule(
    words: ["usleep(", "nanosleep("], places: ["StorageSQLite/Connection.swift"],
    reason: "a thread that sleeps is one that tasks wait for; SQLite's busy handler cannot do without"),
  WordRule(words: ["dlopen"], places: ["CCurl/", "CExpat/"], reason: "only libcurl and libexpat are loaded late"),
  WordRule(
    words: ["try!", "as!", "fatalError("], places: [],
    reason: "an error is a value; a process that stops between two steps is a state to recover from"),
]
