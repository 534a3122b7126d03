import Glibc

/// What the kernel reports about a process in `/proc/PID/stat`.
struct ProcessState: Hashable, Sendable {
  /// When it started, in clock ticks since the boot. Together with the pid it identifies one process of this boot.
  let start: UInt64
  /// Whether it has ended and only its exit status has not been collected yet.
  let isDead: Bool

  /// The state of `pid` ("self" for this process), or nil if there is no such process or `/proc` does not show it.
  init?(of pid: String) {
    guard let text = ProcFile.text("/proc/\(pid)/stat") else { return nil }
    self.init(stat: text)
  }

  init?(stat: String) {
    // The program's name is in parentheses and may itself hold spaces and parentheses, so the fields begin after the
    // last one.
    guard let name = stat.lastIndex(of: ")") else { return nil }
    let fields = stat[stat.index(after: name)...].split(separator: " ")
    // proc(5) counts from 1, and the first field here is the third: state is 3, num_threads 20, starttime 22.
    guard fields.count > 19, let threads = Int(fields[17]), let start = UInt64(fields[19]) else { return nil }
    self.start = start
    // The first thread of a Swift program with an asynchronous main may end early. It is then shown as a zombie while
    // the other threads work on.
    isDead = (fields[0] == "Z" || fields[0] == "X") && threads <= 1
  }
}

/// The small files and links of `/proc`.
enum ProcFile {
  /// At most the first 4096 bytes of the file at `path`, or nil.
  static func text(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = read(descriptor, &bytes, bytes.count)
    // Decoded with repairs: a program's name may contain any bytes.
    return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
  }

  /// The number of this process's namespace `kind`, or nil where the kernel has none of that kind.
  static func namespace(_ kind: String) -> UInt64? {
    var characters = [CChar](repeating: 0, count: 64)
    let count = readlink("/proc/self/ns/\(kind)", &characters, characters.count)
    guard count > 0 else { return nil }
    // "pid:[4026531836]"
    let link = String(decoding: characters[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard link.hasPrefix("\(kind):["), link.hasSuffix("]") else { return nil }
    return UInt64(link.dropFirst(kind.utf8.count + 2).dropLast())
  }
}
