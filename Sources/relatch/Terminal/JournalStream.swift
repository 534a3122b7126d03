import Glibc

/// Whether standard error goes to the systemd journal, which then reads a line's priority from its beginning
/// (sd-daemon(3)).
enum JournalStream {
  /// What a line on standard error begins with.
  static func prefix(_ severity: Severity) -> String { isStandardError ? "<\(severity.rawValue)>" : "" }

  private static let isStandardError: Bool = {
    var information = stat()
    guard let variable = ProcessEnvironment.value(of: "JOURNAL_STREAM"), fstat(STDERR_FILENO, &information) == 0 else {
      return false
    }
    return names(variable, device: UInt64(information.st_dev), inode: UInt64(information.st_ino))
  }()

  /// Whether `variable`, as systemd sets `JOURNAL_STREAM`, names this file: a program that was started with its standard
  /// error elsewhere inherits the variable, too.
  static func names(_ variable: String, device: UInt64, inode: UInt64) -> Bool { variable == "\(device):\(inode)" }
}
