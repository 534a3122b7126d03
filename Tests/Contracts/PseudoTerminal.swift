import Glibc
import Testing

/// A terminal at which the test plays the person.
package final class PseudoTerminal: Sendable {
  /// The path that the program under test opens.
  package let path: String
  private let person: Int32
  /// Kept open, so that the settings outlast the program's own opening.
  private let line: Int32

  package init() throws {
    person = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    var isLocked: Int32 = 0
    var number: UInt32 = 0
    // TIOCSPTLCK and TIOCGPTN of ioctl_tty(2): Swift's Glibc has neither them nor unlockpt(3) and ptsname(3).
    try #require(ioctl(person, 0x4004_5431, &isLocked) == 0 && ioctl(person, 0x8004_5430, &number) == 0)
    path = "/dev/pts/\(number)"
    line = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
    try #require(line >= 0)
  }

  deinit {
    close(line)
    close(person)
  }

  /// Whether typed text is shown.
  package var echoes: Bool {
    var settings = termios()
    return tcgetattr(line, &settings) == 0 && settings.c_lflag & tcflag_t(ECHO) != 0
  }

  /// Types `text`.
  package func type(_ text: String) {
    let bytes = Array(text.utf8)
    #expect(write(person, bytes, bytes.count) == bytes.count)
  }

  /// What the screen shows until `end` has appeared or ten seconds have passed.
  package func screen(until end: String) -> String {
    var shown = ""
    while !shown.contains(end), wait(milliseconds: 10_000) { shown += readAvailable() }
    return shown
  }

  /// Waits until the echo is off: what is typed earlier is dropped.
  package func waitForQuiet() {
    for _ in 0..<2_000 where echoes { usleep(5_000) }
    #expect(!echoes)
  }

  /// What the screen shows that has not been read yet.
  package func rest() -> String {
    var shown = ""
    while wait(milliseconds: 100) { shown += readAvailable() }
    return shown
  }

  private func wait(milliseconds: Int32) -> Bool {
    var source = pollfd(fd: person, events: Int16(POLLIN), revents: 0)
    return poll(&source, 1, milliseconds) == 1
  }

  private func readAvailable() -> String {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = read(person, &bytes, bytes.count)
    return String(decoding: bytes[..<max(count, 0)], as: UTF8.self)
  }
}
