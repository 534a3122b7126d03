import ArgumentParser

/// Options of verbs that may work on many credentials.
struct JobsOptions: ParsableArguments {
  @Option(help: ArgumentHelp("How many credentials to work on at once.", valueName: "n"))
  var jobs = 4

  func validate() throws {
    guard (1...1000).contains(jobs) else { throw ValidationError("--jobs \(jobs): expected 1 to 1000") }
  }
}
