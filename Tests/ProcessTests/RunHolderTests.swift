import Glibc
import Testing

@testable import relatch

@Suite("A run names itself so that its death can be seen")
struct RunHolderTests {
  private static let boot = "11111111-2222-3333-4444-555555555555"

  @Test func `this process is not gone, and its words read back`() throws {
    let holder = try #require(RunHolder.current)
    #expect(holder.pid == getpid())
    #expect(RunHolder(holder.description) == holder)
    #expect(RunHolder.words == holder.description)
    #expect(!RunHolder.isGone(RunHolder.words))
  }

  @Test func `a child is not gone while it sleeps, and is once it is killed, reaped or not`() throws {
    let child = try Child("/bin/sleep", "600")
    let state = try #require(ProcessState(of: String(child.pid)))
    let place = try #require(RunHolder.Place.here)
    let holder = RunHolder(pid: child.pid, start: state.start, place: place)
    #expect(!RunHolder.isGone(holder.description))

    kill(child.pid, SIGKILL)
    child.waitUntilDead()
    #expect(ProcessState(of: String(child.pid))?.isDead == true, "a zombie")
    #expect(RunHolder.isGone(holder.description))

    child.reap()
    #expect(RunHolder.isGone(holder.description))
  }

  @Test func `a pid that another process has by now is gone`() throws {
    let current = try #require(RunHolder.current)
    let earlier = RunHolder(pid: current.pid, start: current.start - 1, place: current.place)
    #expect(RunHolder.isGone(earlier.description))
  }

  @Test(arguments: ["host", "boot", "pid-ns", "time-ns"])
  func `a dead pid elsewhere is not certainly gone`(difference: String) throws {
    let here = try #require(RunHolder.Place.here)
    let place = RunHolder.Place(
      host: difference == "host" ? "elsewhere" : here.host, boot: difference == "boot" ? Self.boot : here.boot,
      pidNamespace: here.pidNamespace + (difference == "pid-ns" ? 1 : 0),
      timeNamespace: here.timeNamespace + (difference == "time-ns" ? 1 : 0))
    // Above the greatest pid that Linux assigns.
    let dead = RunHolder(pid: 1 << 23, start: 1, place: place)
    #expect(!RunHolder.isGone(dead.description))
    #expect(RunHolder.isGone(RunHolder(pid: 1 << 23, start: 1, place: here).description))
  }

  @Test(arguments: [
    "", "pid 1", "pid 4194305 on h", "pid 4194305 on h (start 1, boot b, pid-ns 1, time-ns 1) ",
    "pid 04194305 on h (start 1, boot b, pid-ns 1, time-ns 1)",
    "pid +4194305 on h (start 1, boot b, pid-ns 1, time-ns 1)",
    "pid -1 on h (start 1, boot b, pid-ns 1, time-ns 1)",
    "pid 0 on h (start 1, boot b, pid-ns 1, time-ns 1)",
    "pid 4194305  on h (start 1, boot b, pid-ns 1, time-ns 1)",
    "pid 4194305 on h (start 1; boot b, pid-ns 1, time-ns 1)",
    "PID 4194305 on h (start 1, boot b, pid-ns 1, time-ns 1)",
  ])
  func `other words are not read`(words: String) {
    #expect(RunHolder(words) == nil)
    #expect(!RunHolder.isGone(words))
  }

  @Test func `a program's name may hold spaces and parentheses`() throws {
    let numbers = "1 1 1 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 3 0 987654 1000 200"
    let state = try #require(ProcessState(stat: "77 (a) R 1 (b c)) S \(numbers)"))
    #expect(state.start == 987_654)
    #expect(!state.isDead)
    #expect(ProcessState(stat: "77 (x) S 1 2") == nil)
    #expect(ProcessState(stat: "") == nil)
  }

  @Test func `a first thread that ended before the others is no death`() throws {
    func stat(threads: Int) -> String { "77 (x) Z 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 \(threads) 0 5 0 0" }
    #expect(try #require(ProcessState(stat: stat(threads: 3))).isDead == false)
    #expect(try #require(ProcessState(stat: stat(threads: 1))).isDead)
  }
}

/// A program run for one test, killed and reaped together with this object.
final class Child {
  let pid: pid_t
  private var isReaped = false

  init(_ path: String, _ arguments: String...) throws {
    var pid: pid_t = 0
    var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    try #require(posix_spawn(&pid, path, nil, nil, &words, environ) == 0)
    self.pid = pid
  }

  deinit {
    kill(pid, SIGKILL)
    reap()
  }

  /// Waits until the child has ended, and leaves its exit status with the kernel.
  func waitUntilDead() {
    var information = siginfo_t()
    while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
  }

  func reap() {
    if isReaped { return }
    isReaped = true
    while waitpid(pid, nil, 0) < 0 && errno == EINTR {}
  }
}
