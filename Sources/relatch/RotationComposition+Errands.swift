import Rotation
import Storage
import Transport
import Vault

extension RotationComposition {
  /// Runs each errand, at most `jobs` at once, when those that it waits for have ended, however they ended. A failure
  /// does not affect the others. If a single errand was given, its failure's code is the exit code; of several, the code
  /// is 13 if any failed. If none failed but standard output did not take a result, it is 74.
  func runEach(_ errands: [Errand], jobs: Int = 1, report: Report) async throws {
    InterruptionNote.install(areNoted: errands.count > 1 && errands.allSatisfy(\.isNoted))
    let jobs = OpenFiles.jobs(min(jobs, errands.count))
    let executor = errands.count > 1 && jobs > 1 ? RunExecutor.shared : nil
    let results = await withTaskExecutorPreference(executor) {
      await self.results(of: errands, jobs: jobs, report: report)
    }
    report.bar?.end()
    await transport.shutdown()
    let untold = report.refusal { () throws(StreamError) in if errands.count > 1 { try report.summary(results) } }
    let refusal = results.compactMap(\.untold).first ?? untold
    if let refusal { report.failure(Failure(refusal)) }
    let failed = results.filter { $0.code != .done }
    if let first = failed.first {
      // What only waits shall not look like a failure because others were done beside it.
      let isAlike = first.code.isUnfinished && failed.allSatisfy { $0.code == first.code }
      throw Status(code: errands.count == 1 || isAlike ? first.code : .someFailed)
    }
    if let refusal { throw Status(code: refusal.exitCode) }
  }

  /// Runs the errands of one imported credential in order, and ends with the first that is not done.
  ///
  /// Returns the error with which standard output refused a result; nil if it took all.
  func runInOrder(_ errands: [Errand], report: Report) async throws -> StreamError? {
    InterruptionNote.installForImported()
    var results: [ErrandResult] = []
    for errand in errands where results.allSatisfy({ $0.code == .done }) {
      results.append(await run(errand, report: report))
    }
    await transport.shutdown()
    if let code = results.last?.code, code != .done { throw Status(code: code) }
    return results.compactMap(\.untold).first
  }

  private func results(of errands: [Errand], jobs: Int, report: Report) async -> [ErrandResult] {
    await withTaskGroup(of: ErrandResult.self) { group in
      var queue = ErrandQueue(errands)
      var results: [ErrandResult] = []
      // The first starts a moment earlier: all need the administrator's token, and the others can begin while that is
      // requested.
      if jobs > 1, errands.count > 1, let first = queue.next() {
        group.addTask {
          defer { self.askedAdministrator.open() }
          return await self.run(first, report: report)
        }
        await askedAdministrator.pass(orAfter: .milliseconds(20))
      }
      func fill() {
        while queue.running < jobs, let next = queue.next() {
          group.addTask { await self.run(next, report: report) }
        }
      }
      fill()
      for await result in group {
        report.bar?.count(failed: result.code != .done)
        results.append(result)
        queue.end(result.name)
        fill()
      }
      return results
    }
  }

  private func run(_ errand: Errand, report: Report) async -> ErrandResult {
    let name = errand.name
    do {
      let outcome = try await run(errand, reporting: report)
      // What was done is done, whether or not it can be reported.
      let owed = await leftBeside(outcome, of: errand)
      let untold = report.refusal { () throws(StreamError) in
        try report.outcome(outcome, of: name, isFollowed: errand.isFollowed, owed: owed)
      }
      if let shortfall = outcome.shortfall(of: name, for: errand.goal) {
        report.failure(shortfall, of: name)
        await reportHooks(of: name, shortfall)
      }
      return ErrandResult(name: name, code: outcome.exitCode, word: outcome.word, untold: untold)
    } catch let error as RotationError where errand.goal == .scheduled && [.held, .notDue].contains(error.code) {
      // Another run is working on it, or was a moment ago.
      return ErrandResult(name: name, code: .done, word: "not-due")
    } catch {
      // Report whether the found versions are accepted even if the credential could not be taken from another run or
      // not be opened.
      await attempt(errand.found, report)
      // Nothing to do is not a failure.
      if let error = error as? RotationError, let word = error.code.nothingToDo(for: errand.goal) {
        let untold = report.refusal { () throws(StreamError) in try report.outcome(word, error, of: name) }
        return ErrandResult(name: name, code: .done, word: word, untold: untold)
      }
      let failure = await lead(out: overtaken(by: error, name) ?? Failure(error).naming(name), of: errand)
      report.failure(failure, of: name)
      await reportHooks(of: name, failure)
      return ErrandResult(name: name, code: failure.code, word: "failed")
    }
  }
}

extension RotationComposition {
  /// The versions that are still owed after a revocation, which ends no more than what leaked.
  private func leftBeside(_ outcome: RotationOutcome, of errand: Errand) async -> [UInt64] {
    guard case .settled = outcome, case .revoke = errand.goal else { return [] }
    let name = errand.name
    return (try? await vault.read { try $0.credential(name).debts.map(\.number) }) ?? []
  }

  /// The failure that another run took the credential `name` from this one, if `error` says so: a revocation waits for
  /// nobody.
  private func overtaken(by error: any Error, _ name: String) async -> Failure? {
    guard (error as? StorageError)?.code == .leaseLost else { return nil }
    // That run may have ended meanwhile.
    let holder = try? await vault.read { view in
      try view.leaseHolder(of: RotationRunner.leaseName(of: view.credential(name)))?.holder
    }
    let other =
      holder.map { words in
        let isLeak = RotationRunner.process(holding: words).urgency > .routine
        return "\(isLeak ? "a revocation" : "another run") (\(RotationRunner.briefly(words)))"
      } ?? "another run"
    return Failure(
      .heldByAnotherRun, "\(name): overtaken by \(other), which continues it: this run did nothing more",
      hint: "`relatch status \(name)` shows the stage of each version")
  }

  /// A credential that administers itself with a refused pair cannot read the pair that is in use: somebody must supply
  /// it.
  private func lead(out failure: Failure, of errand: Errand) async -> Failure {
    let name = errand.name
    guard case .adopt(nil) = errand.goal, failure.code == .notPermitted,
      (try? await vault.read { try $0.credential(name).isSelfAdministered }) == true
    else { return failure }
    return Failure(
      failure.code, failure.message, quoting: failure.quoting,
      hint: "`relatch adopt \(name) --stdin` takes over the pair in use at the provider, read from standard input")
  }
}

extension RotationError.Code {
  /// If the error says that a run for `goal` had nothing to do, its outcome as in `--json`; otherwise nil.
  fileprivate func nothingToDo(for goal: RotationRunner.Goal) -> String? {
    switch self {
    case .nothingOwed: "nothing-owed"
    case .nothingUnfinished: "nothing-unfinished"
    case .notDue: "not-due"
    // Grace stands in the way of `rotate`. For `resume` it means that there is nothing else to do.
    case .inGrace: goal == .resume ? "in-grace" : nil
    default: nil
    }
  }
}
