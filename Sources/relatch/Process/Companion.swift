import Audit
import CSystem
import Delivery
import Glibc
import Vault

/// A program that runs beside this process. This process passes signals on to it and ends as it does.
struct Companion {
  /// How the program ended.
  enum Ending {
    case code(Int32)
    case signal(Int32)

    /// Ends this process in the same way.
    func adopt() -> Never {
      switch self {
      case .code(let code): exit(code)
      case .signal(let signal):
        csystem_die_by(signal)
        exit(128 + signal)
      }
    }
  }

  let pid: Int32
  private let masks: [OutputMask]

  /// Starts the program with `variables` in its environment. If there are any `pairs`, they are masked in its output.
  /// Must be called on the main thread.
  init(_ program: ProgramReplacement, with variables: [SecretVariable], masking pairs: [Pair]) throws {
    guard !pairs.isEmpty else {
      pid = try program.accompany(with: variables, output: -1, errors: -1)
      masks = []
      return
    }
    let output = try Self.masking(STDOUT_FILENO, pairs)
    defer { close(output.end) }
    let errors = try Self.masking(STDERR_FILENO, pairs)
    defer { close(errors.end) }
    masks = [output.mask, errors.mask]
    pid = try program.accompany(with: variables, output: output.end, errors: errors.end)
  }

  private static func masking(_ descriptor: Int32, _ pairs: [Pair]) throws -> (mask: OutputMask, end: Int32) {
    var ends: [Int32] = [-1, -1]
    guard csystem_pipe(&ends) == 0 else {
      throw Failure(
        .internalError, "cannot open a pipe to the program: \(Errno.text)",
        hint: "raise the number of files that this process may open (ulimit -n)")
    }
    do {
      return (try OutputMask(from: ends[0], to: descriptor, masking: pairs, pause: .milliseconds(200)), ends[1])
    } catch {
      for end in ends { close(end) }
      throw error
    }
  }

  /// How many milliseconds, in all, passing on its output may still take once somebody wants the program to end.
  private static let patience: Int32 = 5_000

  /// How the program ended, if it has since the last call; nil if it is still running. When the program is stopped,
  /// this process stops, too, until both are continued.
  ///
  /// Before it returns an ending it passes on all output, for as long as that takes. Once `isTold` or a signal of
  /// `signals` says that somebody wants the end, it waits only seconds for the readers.
  func ending(_ signals: SignalReports, isTold: inout Bool) -> Ending? {
    var status: Int32 = 0
    while csystem_news_of(pid, &status) == 1 {
      let signal = status & 0x7F
      if signal == 0x7F {
        // As in wait(2), this status alone is not a stop: the program was continued.
        guard status != 0xFFFF else { continue }
        csystem_stop_by((status >> 8) & 0xFF)
        kill(pid, SIGCONT)
        continue
      }
      let isWhole = finish(signals, isTold: &isTold)
      let code = (status >> 8) & 0xFF
      guard let lost = masks.compactMap(\.lost).first ?? (isWhole ? nil : "nobody reads it") else {
        return signal == 0 ? .code(code) : .signal(signal)
      }
      if Self.hasRoom(STDERR_FILENO) {
        Diagnostics.standard.warning("not all of the program's output could be written: \(lost)")
      }
      if signal != 0 { return .signal(signal) }
      return .code(code == 0 ? ExitCode.cannotWrite.rawValue : code)
    }
    return nil
  }

  /// Passes on the remaining output; returns whether all of it was. A reader may take its time, but not hold up an end
  /// that somebody wants.
  private func finish(_ signals: SignalReports, isTold: inout Bool) -> Bool {
    let step: Int32 = 100
    var left = Self.patience
    for mask in masks {
      while !mask.finish(within: step) {
        while let signal = signals.next(within: 0) { isTold = isTold || signal.asksForEnd }
        guard isTold else { continue }
        left -= step
        guard left > 0 else { return false }
      }
    }
    return true
  }

  /// Whether a line can be written to `descriptor` now: nobody may be reading that one either.
  private static func hasRoom(_ descriptor: Int32) -> Bool {
    var place = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return poll(&place, 1, 0) > 0
  }

  func send(_ signal: Int32) { kill(pid, signal) }
}

/// Keeps a program in step with the pairs it was given.
struct Supervision {
  /// What happens when a pair has changed.
  enum Reaction: Sendable {
    /// The program is ended, and started again with the new pair.
    case restart
    /// The program gets this signal.
    case signal(Int32)
  }

  /// The variables and pairs that a program is started with, and the numbers of their versions.
  struct Given {
    let variables: [SecretVariable]
    let pairs: [Pair]
    let versions: [UInt64]
  }

  let program: ProgramReplacement
  let masks: Bool
  /// Nil to let the program run on with the pair it has.
  let reaction: Reaction?
  /// How often the vault is looked at.
  let interval: Duration
  /// Logs the access and opens the active pairs again.
  let open: () async throws -> Given
  /// The active versions, without opening anything.
  let active: () async throws -> [UInt64]

  /// The longest pause between tries to open a pair that cannot be opened.
  private static let maximumPause = Duration.seconds(3600)
  /// How many seconds a program that is restarted may take to end before it is killed.
  private static let patience: Int32 = 10

  /// Runs the program with what is `given`, and ends this process as the program ends.
  func run(with given: consuming Given) async throws -> Never {
    var given = given
    let signals = try SignalReports()
    var group = GroupSignals()
    var companion = try start(given)
    var pause = interval
    var due = WallClock.now() + pause
    var isTold = false
    while true {
      // Neither a stream of signals nor a clock that was set back postpones the next look.
      let now = WallClock.now()
      due = min(due, now + pause)
      let wait = reaction == nil ? -1 : Int32(clamping: max(0, due.milliseconds - now.milliseconds))
      if let signal = signals.next(within: wait) {
        if signal.isFor(companion.pid, beside: &group) { companion.send(signal.number) }
        // SIGHUP makes many programs read their settings again, so it does not count as a request to end.
        isTold = isTold || signal.asksForEnd && signal.number != SIGHUP
        if let ending = companion.ending(signals, isTold: &isTold) { ending.adopt() }
      }
      guard let reaction, due <= WallClock.now() else { continue }
      due = WallClock.now() + pause
      guard let versions = await changed(given) else { continue }
      switch reaction {
      case .signal(let signal):
        companion.send(signal)
        given = Given(variables: [], pairs: [], versions: versions)
      case .restart:
        let fresh: Given
        do { fresh = try await open() } catch {
          // The program goes on with the pair it has, which works as long as that pair is in grace.
          Diagnostics.standard.warning("a pair has changed and cannot be read: \(Failure(error).message)")
          // Each try is an entry in the log, so tries become rarer.
          pause = min(pause * 2, max(interval, Self.maximumPause))
          due = WallClock.now() + pause
          continue
        }
        pause = interval
        if let ending = stop(companion, signals, &group) { ending.adopt() }
        // The program may still print the pair that it had before, from a file of its own: that one stays masked.
        let before = given.pairs
        given = fresh
        companion = try start(given, masking: before)
      }
    }
  }

  private func start(_ given: Given, masking before: [Pair] = []) throws -> Companion {
    try Companion(program, with: given.variables, masking: masks ? given.pairs + before : [])
  }

  private func changed(_ given: Given) async -> [UInt64]? {
    do {
      let versions = try await active()
      return versions == given.versions ? nil : versions
    } catch {
      Diagnostics.standard.warning("whether a pair has changed is not known: \(Failure(error).message)")
      return nil
    }
  }

  /// Ends the program. Returns how it ended if somebody else told it to end meanwhile; otherwise nil.
  private func stop(
    _ companion: Companion, _ signals: SignalReports, _ group: inout GroupSignals
  ) -> Companion.Ending? {
    var isTold = false
    var waited: Int32 = 0
    companion.send(SIGTERM)
    companion.send(SIGCONT)
    while true {
      if let ending = companion.ending(signals, isTold: &isTold) { return isTold ? ending : nil }
      guard let signal = signals.next(within: 1000) else {
        waited += 1
        if waited == Self.patience { companion.send(SIGKILL) }
        continue
      }
      guard signal.number != SIGCHLD else { continue }
      isTold = isTold || signal.asksForEnd
      if signal.isFor(companion.pid, beside: &group) { companion.send(signal.number) }
    }
  }
}
