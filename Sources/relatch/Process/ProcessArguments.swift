import Vault

/// What the process was started with.
///
/// Swift's runtime looks for them on the stack, whose place the kernel tells by writing down the whole address space; the words
/// themselves are had for less.
enum ProcessArguments {
  /// The words of a command line fit.
  private static let greatest = 1 << 22

  /// The program's name, and its arguments.
  static let all = asked() ?? CommandLine.arguments

  private static func asked() -> [String]? {
    // Each ends with a zero.
    guard let bytes = try? PrivateFile.readPublic("/proc/self/cmdline", limit: greatest), bytes.last == 0 else {
      return nil
    }
    return bytes.dropLast().split(separator: 0, omittingEmptySubsequences: false).map {
      String(decoding: $0, as: UTF8.self)
    }
  }
}
