import CSystem
import Glibc
import Vault

/// Tells signals sent to the whole process group from signals sent to this process only: the kernel does not tell the
/// process that gets one. A second process in the group, the keeper, takes no signal, so whatever is pending there was
/// sent to the whole group.
struct GroupSignals {
  /// The most that is read of the kernel's status file of a process.
  private static let maximumStatusSize = 1 << 16

  /// The keeper's pid, or -1 if none could be started. Without a keeper every signal counts as sent to this process
  /// only.
  private var keeper = csystem_keep_signals()
  /// The other signals that were pending when the keeper was last replaced, one bit each. They are on their way here.
  private var others: UInt64 = 0

  /// Whether `signal`, which has just arrived here, was sent to the group.
  ///
  /// The kernel signals the newest members of a group first, so the keeper has the signal before this process does.
  mutating func has(_ signal: Int32) -> Bool {
    let bit: UInt64 = 1 << UInt64(signal - 1)
    guard others & bit == 0 else {
      others &= ~bit
      return true
    }
    let pending = pending()
    guard pending & bit != 0 else {
      // A keeper that somebody killed keeps nothing any more.
      if keeper > 0, waitpid(keeper, nil, WNOHANG) == keeper { keeper = csystem_keep_signals() }
      return false
    }
    others |= pending & ~bit
    // Replaced by a new keeper, to which nothing has been sent yet.
    let old = keeper
    keeper = csystem_keep_signals()
    kill(old, SIGKILL)
    while waitpid(old, nil, 0) < 0 && errno == EINTR {}
    return true
  }

  /// `ShdPnd` of proc(5): the signals that wait for the keeper, a bit each.
  private func pending() -> UInt64 {
    guard keeper > 0, let bytes = try? PrivateFile.readPublic("/proc/\(keeper)/status", limit: Self.maximumStatusSize),
      let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first(where: { $0.hasPrefix("ShdPnd:") }
      ),
      let digits = line.split(separator: "\t").last
    else { return 0 }
    return UInt64(digits, radix: 16) ?? 0
  }
}
