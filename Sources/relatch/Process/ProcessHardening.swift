import CSystem
import Glibc
import Sodium

/// What this process gives up at its start so that a secret in its memory stays there.
///
/// `applied` does it once, before anything else in `main`. What a child would inherit and not expect is undone by
/// `restoreForChild`.
struct ProcessHardening: Sendable {
  /// Done when first asked for.
  static let applied = ProcessHardening()

  /// What the kernel refused, one sentence each, for standard error.
  let warnings: [String]
  private let inheritedMask: mode_t
  private let inheritedPipeIsIgnored: Bool
  private let inheritedSizeIsIgnored: Bool

  private init() {
    Self.openStandardDescriptors()
    Self.silenceBacktracer()
    var warnings: [String] = []
    // Both: a core pattern that pipes to a program ignores a limit of 0 on some kernels, and a limit keeps the fatal
    // signals of a child quiet, which gets its dumpable flag back at exec.
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    if setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) != 0 || csystem_forbid_dumps() != 0 {
      warnings.append("core dumps cannot be turned off: \(String(cString: strerror(errno)))")
    }
    inheritedMask = umask(0o077)
    // Ignored, so that a reader that goes away is an error to report after the log entry, and not the end of a rotation
    // between two steps (`relatch rotate | head -1`); libcurl's sockets could raise it, too.
    inheritedPipeIsIgnored = SignalAction.current(of: SIGPIPE).isIgnored
    signal(SIGPIPE, SIG_IGN)
    // A file that reaches a limit on its size (`ulimit -f`) is one that cannot be written, and no end in the midst of a commit.
    inheritedSizeIsIgnored = SignalAction.current(of: SIGXFSZ).isIgnored
    signal(SIGXFSZ, SIG_IGN)
    // Ignored by an odd caller, it would leave the programs that are run here without an exit status.
    signal(SIGCHLD, SIG_DFL)
    if !SecureMemory.canLock() { warnings.append(Self.lockWarning()) }
    self.warnings = warnings
  }

  /// The mask that this process was started with, for programs that it runs beside itself.
  var childMask: UInt32 { UInt32(inheritedMask) }

  /// Whether such a program is to have the SIGPIPE that ends it.
  var restoresPipe: Bool { !inheritedPipeIsIgnored }

  /// Whether it is to have the SIGXFSZ that ends it.
  var restoresSizeLimit: Bool { !inheritedSizeIsIgnored }

  /// Gives a program about to be run by `exec` the mask, the SIGPIPE and the SIGXFSZ that this process was started with. Core dumps stay
  /// off: its environment holds a pair.
  func restoreForChild() {
    umask(inheritedMask)
    if !inheritedPipeIsIgnored { signal(SIGPIPE, SIG_DFL) }
    if !inheritedSizeIsIgnored { signal(SIGXFSZ, SIG_DFL) }
  }

  /// Swift's crash handler prints registers and the memory they point to, on any terminal or log that standard error is.
  private static func silenceBacktracer() {
    for number in [SIGQUIT, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, SIGSYS] {
      // A shell that starts a background job has SIGQUIT ignored, and the backtracer leaves that alone, too.
      if !SignalAction.current(of: number).isIgnored { signal(number, SIG_DFL) }
    }
  }

  /// A file opened later must never become descriptor 1, or a message be written into the vault. The stand-ins refuse what
  /// a closed descriptor refuses: nothing is released into `/dev/null` as if somebody had read it.
  private static func openStandardDescriptors() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
      // The lowest free number is the one just found closed.
      _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    }
  }

  private static func lockWarning() -> String {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit)
    let size = "the limit on locked memory (ulimit -l) is \(limit.rlim_cur / 1024) KiB"
    return "memory cannot be locked, so that secrets may reach swap: \(size)"
  }
}
