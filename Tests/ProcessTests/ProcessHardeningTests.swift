import CSystem
import Glibc
import Testing

@testable import relatch

@Suite("A hardened process keeps its memory to itself")
struct ProcessHardeningTests {
  @Test func `no dumps, no attaching, files for the owner alone, no end by a closed pipe`() async {
    await #expect(processExitsWith: .success) {
      umask(0o022)
      #expect(csystem_dumpable() == 1)
      _ = ProcessHardening.applied
      #expect(csystem_dumpable() == 0)
      var limit = rlimit(rlim_cur: 1, rlim_max: 1)
      #expect(getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit) == 0)
      #expect(limit.rlim_cur == 0 && limit.rlim_max == 0)
      #expect(umask(0o077) == 0o077)
      #expect(SignalAction.current(of: SIGPIPE).isIgnored)
      #expect(SignalAction.current(of: SIGXFSZ).isIgnored)

      ProcessHardening.applied.restoreForChild()
      #expect(umask(0o022) == 0o022)
      #expect(!SignalAction.current(of: SIGPIPE).isIgnored)
      #expect(!SignalAction.current(of: SIGXFSZ).isIgnored)
      #expect(csystem_dumpable() == 0)
    }
  }

  @Test func `a crash ends in its signal and prints nothing`() async throws {
    for number in [SIGSEGV, SIGILL, SIGABRT, SIGQUIT] {
      let result = try await #require(
        processExitsWith: .failure, observing: [\.standardErrorContent, \.standardOutputContent]
      ) { [number = number as Int32] in
        // Like the backtracer's handler, it is not the default.
        signal(number) { _ in fputs("printed memory", nil) }
        _ = ProcessHardening.applied
        kill(getpid(), number)
        sleep(10)
      }
      #expect(result.exitStatus == .signal(number))
      #expect(!String(decoding: result.standardErrorContent, as: UTF8.self).contains("Crash"))
    }
  }

  @Test func `what the caller ignores stays ignored`() async {
    await #expect(processExitsWith: .success) {
      signal(SIGQUIT, SIG_IGN)
      signal(SIGPIPE, SIG_IGN)
      signal(SIGXFSZ, SIG_IGN)
      _ = ProcessHardening.applied
      #expect(SignalAction.current(of: SIGQUIT).isIgnored)
      ProcessHardening.applied.restoreForChild()
      #expect(SignalAction.current(of: SIGPIPE).isIgnored)
      #expect(SignalAction.current(of: SIGXFSZ).isIgnored)
    }
  }

  @Test func `closed standard descriptors are taken, and still refuse`() async {
    await #expect(processExitsWith: .exitCode(42)) {
      for descriptor in STDIN_FILENO...STDERR_FILENO { close(descriptor) }
      _ = ProcessHardening.applied
      var byte: UInt8 = 0
      guard read(STDIN_FILENO, &byte, 1) < 0, errno == EBADF else { exit(1) }
      for descriptor in [STDOUT_FILENO, STDERR_FILENO] {
        guard write(descriptor, &byte, 1) < 0, errno == EBADF else { exit(2) }
      }
      guard open("/dev/null", O_RDONLY) > STDERR_FILENO else { exit(3) }
      exit(42)
    }
  }

  @Test func `a limit on locked memory is told`() async {
    await #expect(processExitsWith: .success) {
      // Only root can lock memory without limit.
      var limit = rlimit(rlim_cur: 0, rlim_max: 0)
      #expect(setrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0)
      #expect(getuid() != 0 || setuid(65_534) == 0)
      #expect(
        ProcessHardening.applied.warnings == [
          "memory cannot be locked, so secrets may reach swap: the limit on locked memory (ulimit -l) is 0 KiB"
        ])
    }
  }
}
