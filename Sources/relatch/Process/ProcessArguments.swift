import Vault

/// What the process was started with.
///
/// Swift's runtime looks for them on the stack, whose place the kernel tells by writing down the whole address space; the words
/// themselves are had for less.
enum ProcessArguments {
  /// The words of a command line fit.
  private static let greatest = 1 << 22

  /// The program's name, and its arguments.
  static let all = words?.map { String(decoding: $0, as: UTF8.self) } ?? CommandLine.arguments

  private static let words = asked()

  /// Fails with `usage` if an argument is no UTF-8, in which names, and paths in a vault, are: what it would be read as names
  /// another file.
  ///
  /// Fails with `internalError` if they cannot be had: a run that was asked for must not pass for one that was not.
  static func requireText() throws {
    guard !all.isEmpty else {
      throw Failure(
        .internalError, "cannot read the arguments of this process: /proc is not mounted",
        hint: "mount it where relatch runs: in a chroot `mount -t proc proc /proc`; in a unit MountAPIVFS=yes")
    }
    guard let words, let index = words.firstIndex(where: { String(validating: $0, as: UTF8.self) == nil })
    else { return }
    throw Failure(
      .usage, "argument \(index) is no UTF-8",
      hint: "name it otherwise; a symbolic link can lead to a folder whose name is in other bytes")
  }

  private static func asked() -> [ArraySlice<UInt8>]? {
    // Each ends with a zero.
    guard let bytes = try? PrivateFile.readPublic("/proc/self/cmdline", limit: greatest), bytes.last == 0 else {
      return nil
    }
    return bytes.dropLast().split(separator: 0, omittingEmptySubsequences: false)
  }
}
