import Vault

/// The arguments that the process was started with.
///
/// Swift's runtime finds them on the stack. To learn where that is, it makes the kernel print the whole address space,
/// which costs more than reading the arguments from `/proc`.
enum ProcessArguments {
  /// The arguments of a command line fit.
  private static let maximumSize = 1 << 22

  /// The program's name and its arguments.
  static let all = words?.map { String(decoding: $0, as: UTF8.self) } ?? CommandLine.arguments

  private static let words = asked()

  /// Fails with `usage` if an argument is not UTF-8. Names, and paths in a vault, are UTF-8, so a repaired argument
  /// would name another file.
  ///
  /// Fails with `internalError` if the arguments cannot be read: a command that was given must not pass for none.
  static func requireText() throws {
    guard !all.isEmpty else {
      throw Failure(
        .internalError, "cannot read the arguments of this process: /proc is not mounted",
        hint: "mount /proc where relatch runs: in a chroot `mount -t proc proc /proc`; in a unit MountAPIVFS=yes")
    }
    guard let words, let index = words.firstIndex(where: { String(validating: $0, as: UTF8.self) == nil })
    else { return }
    throw Failure(
      .usage, "argument \(index) is not UTF-8",
      hint: "use a name in UTF-8, for example a symbolic link to a folder whose name is not")
  }

  private static func asked() -> [ArraySlice<UInt8>]? {
    // Each argument ends with a zero byte.
    guard let bytes = try? PrivateFile.readPublic("/proc/self/cmdline", limit: maximumSize), bytes.last == 0 else {
      return nil
    }
    return bytes.dropLast().split(separator: 0, omittingEmptySubsequences: false)
  }
}
