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

  /// Whether `signal`, which has just arrived here, was sent to the group.
  ///
  /// The kernel sends it to those who joined the group last first, so the keeper has it before we do.
  mutating func has(_ signal: Int32) -> Bool {
    guard isPending(signal) else { return false }
    // Another takes its place, to which nothing was sent yet.
    let old = keeper
    keeper = csystem_keep_signals()
    kill(old, SIGKILL)
    while waitpid(old, nil, 0) < 0 && errno == EINTR {}
    return true
  }

  /// `ShdPnd` of proc(5): the signals that wait for the process, a bit each.
  private func isPending(_ signal: Int32) -> Bool {
    guard keeper > 0, let bytes = try? PrivateFile.readPublic("/proc/\(keeper)/status", limit: Self.greatestStatus),
      let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first(where: { $0.hasPrefix("ShdPnd:") }
      ),
      let digits = line.split(separator: "\t").last, let pending = UInt64(digits, radix: 16)
    else { return false }
    return pending >> UInt64(signal - 1) & 1 == 1
  }
}
