import CSystem
import Glibc
import Sodium
import Vault

/// What this process gives up at its start so that a secret in its memory stays there.
///
/// `applied` does this once, before anything else in `main`. `restoreForChild` undoes what a child would inherit and
/// not expect.
struct ProcessHardening: Sendable {
  /// Takes effect when it is first read.
  static let applied = ProcessHardening()

  /// What the kernel refused, one sentence each, to be printed on standard error.
  let warnings: [String]
  private let inheritedMask: mode_t
  private let inheritedPipeIsIgnored: Bool
  private let inheritedSizeIsIgnored: Bool

  private init() {
    Self.openStandardDescriptors()
    Self.silenceBacktracer()
    var warnings: [String] = []
    // Both: some kernels ignore a limit of 0 if the core pattern pipes to a program, and the limit also holds for a
    // child, which gets its dumpable flag back at exec.
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    if setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) != 0 || csystem_forbid_dumps() != 0 {
      warnings.append("core dumps cannot be turned off: \(Errno.text)")
    }
    inheritedMask = umask(0o077)
    // Ignored, so that a reader that goes away (`relatch rotate | head -1`) is an error to report after the log entry,
    // and does not end a rotation between two steps. libcurl's sockets could raise the signal, too.
    inheritedPipeIsIgnored = SignalAction.current(of: SIGPIPE).isIgnored
    signal(SIGPIPE, SIG_IGN)
    // Ignored, so that a file that reaches a size limit (`ulimit -f`) cannot be written, instead of ending the process
    // in the middle of a commit.
    inheritedSizeIsIgnored = SignalAction.current(of: SIGXFSZ).isIgnored
    signal(SIGXFSZ, SIG_IGN)
    // If the caller ignored it, programs that are run here would have no exit status.
    signal(SIGCHLD, SIG_DFL)
    if !SecureMemory.canLock() { warnings.append(Self.lockWarning()) }
    self.warnings = warnings
  }

  /// The file mode creation mask that this process was started with, for programs that it runs beside itself.
  var childMask: UInt32 { UInt32(inheritedMask) }

  /// Whether SIGPIPE is to end such a program, as it does by default.
  var restoresPipe: Bool { !inheritedPipeIsIgnored }

  /// Whether SIGXFSZ is to end it, as it does by default.
  var restoresSizeLimit: Bool { !inheritedSizeIsIgnored }

  /// Gives a program that is about to replace this process the mask, SIGPIPE and SIGXFSZ that this process was started
  /// with. Core dumps stay off: the program's environment holds a pair.
  func restoreForChild() {
    umask(inheritedMask)
    if !inheritedPipeIsIgnored { signal(SIGPIPE, SIG_DFL) }
    if !inheritedSizeIsIgnored { signal(SIGXFSZ, SIG_DFL) }
  }

  /// Turns off Swift's crash handler, which prints registers and the memory they point to on standard error, whether
  /// that is a terminal or a log.
  private static func silenceBacktracer() {
    for number in [SIGQUIT, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, SIGSYS] {
      // A shell starts background jobs with SIGQUIT ignored, and the crash handler leaves an ignored signal alone, too.
      if !SignalAction.current(of: number).isIgnored { signal(number, SIG_DFL) }
    }
  }

  /// Fills the standard descriptors that are closed, so that a file opened later never becomes descriptor 1 and no
  /// message is written into the vault. The stand-ins refuse what a closed descriptor refuses: nothing is released into
  /// `/dev/null` as if somebody had read it.
  private static func openStandardDescriptors() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
      // The lowest free number is the one that was just found closed.
      _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    }
  }

  private static func lockWarning() -> String {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit)
    let size = "the limit on locked memory (ulimit -l) is \(limit.rlim_cur / 1024) KiB"
    return "memory cannot be locked, so secrets may reach swap: \(size)"
  }
}
