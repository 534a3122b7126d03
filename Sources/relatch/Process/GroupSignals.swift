import CSystem
import Glibc
import Vault

/// Tells the signals that were sent to the whole process group from those that were sent to this process alone: whoever gets one
/// is not told. Beside us stands a process that takes none, and what is pending there was sent to all.
struct GroupSignals {
  /// Nothing greater is read of what the kernel says of a process.
  private static let greatestStatus = 1 << 16

  /// -1 where there is none to be had: then every signal counts as sent to us alone.
  private var keeper = csystem_keep_signals()
  /// What else had been sent to the group when a keeper was last replaced, a bit each: it is on its way here.
  private var others: UInt64 = 0

  /// Whether `signal`, which has just arrived here, was sent to the group.
  ///
  /// The kernel sends it to those who joined the group last first, so the keeper has it before we do.
  mutating func has(_ signal: Int32) -> Bool {
    let bit: UInt64 = 1 << UInt64(signal - 1)
    guard others & bit == 0 else {
      others &= ~bit
      return true
    }
    let pending = pending()
    guard pending & bit != 0 else {
      // One that somebody killed keeps nothing any more.
      if keeper > 0, waitpid(keeper, nil, WNOHANG) == keeper { keeper = csystem_keep_signals() }
      return false
    }
    others |= pending & ~bit
    // Another takes its place, to which nothing was sent yet.
    let old = keeper
    keeper = csystem_keep_signals()
    kill(old, SIGKILL)
    while waitpid(old, nil, 0) < 0 && errno == EINTR {}
    return true
  }

  /// `ShdPnd` of proc(5): the signals that wait for the keeper, a bit each.
  private func pending() -> UInt64 {
    guard keeper > 0, let bytes = try? PrivateFile.readPublic("/proc/\(keeper)/status", limit: Self.greatestStatus),
      let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first(where: { $0.hasPrefix("ShdPnd:") }
      ),
      let digits = line.split(separator: "\t").last
    else { return 0 }
    return UInt64(digits, radix: 16) ?? 0
  }
}
