import Glibc

/// The words that a run takes a lease with: enough for another run on the same machine to see that it is dead, whatever
/// the clock says, and for a person to find it.
///
///     pid 4242 on db1 (start 8127346, boot 0b1f…, pid-ns 4026531836, time-ns 4026531834)
struct RunHolder: Hashable, Sendable, CustomStringConvertible {
  /// Where a pid and a start time mean something: one boot of one machine, seen from one container.
  struct Place: Hashable, Sendable {
    let host: String
    let boot: String
    let pidNamespace: UInt64
    /// Start times are counted from an offset that a time namespace may move. 0 where the kernel has none (before 5.6).
    let timeNamespace: UInt64
  }

  let pid: Int32
  let start: UInt64
  let place: Place

  /// This process; nil where `/proc` does not tell.
  static let current: RunHolder? = {
    guard let state = ProcessState(of: "self"), let place = Place.here else { return nil }
    return RunHolder(pid: getpid(), start: state.start, place: place)
  }()

  /// The words of this process. Without `/proc` they name it, and no other run will ever take it for dead.
  static var words: String { current?.description ?? "pid \(getpid()) on \(Place.hostName)" }

  var description: String {
    "pid \(pid) on \(place.host) (start \(start), boot \(place.boot), pid-ns \(place.pidNamespace),"
      + " time-ns \(place.timeNamespace))"
  }

  /// Whether the run that took a lease as `words` is certainly dead. False for every doubt: another machine, another
  /// container, another boot, words of another form. Such a lease ends by its expiry.
  ///
  /// Another boot of a machine of the same name is a doubt, too: machines made from one image share names and machine ids.
  static func isGone(_ words: String) -> Bool {
    guard let holder = RunHolder(words), holder.place == Place.here else { return false }
    return holder.isGone
  }

  private var isGone: Bool {
    guard let state = ProcessState(of: String(pid)) else {
      // `/proc` may hide the processes of other users; the kernel still tells that there is one.
      return kill(pid, 0) != 0 && errno == ESRCH
    }
    return state.isDead || state.start != start
  }
}

extension RunHolder {
  /// Reads `description`, and nothing else; nil for any other text.
  init?(_ words: String) {
    let fields = words.split(separator: " ", omittingEmptySubsequences: false)
    guard fields.count == 12, let pid = Int32(fields[1]), pid > 0,
      let start = UInt64(fields[5].dropLast()), let pidNamespace = UInt64(fields[9].dropLast()),
      let timeNamespace = UInt64(fields[11].dropLast())
    else { return nil }
    let place = Place(
      host: String(fields[3]), boot: String(fields[7].dropLast()), pidNamespace: pidNamespace,
      timeNamespace: timeNamespace)
    self.init(pid: pid, start: start, place: place)
    // Writing it again checks every word and comma, and refuses signs and leading zeros.
    guard description == words else { return nil }
  }
}

extension RunHolder.Place {
  /// Where this process runs; nil where `/proc` does not tell.
  static let here: Self? = {
    guard let boot = ProcFile.text("/proc/sys/kernel/random/boot_id")?.split(separator: "\n").first,
      let pidNamespace = ProcFile.namespace("pid")
    else { return nil }
    return Self(
      host: hostName, boot: String(boot), pidNamespace: pidNamespace, timeNamespace: ProcFile.namespace("time") ?? 0)
  }()

  /// The kernel's name for this machine or container, other characters than those of host names replaced.
  static let hostName: String = {
    var bytes = [CChar](repeating: 0, count: 256)
    guard gethostname(&bytes, 255) == 0 else { return "unknown" }
    let name = bytes.prefix { $0 != 0 }.map { byte -> Character in
      let character = Character(UnicodeScalar(UInt8(bitPattern: byte)))
      return character.isASCII && (character.isLetter || character.isNumber || "-._".contains(character))
        ? character : "_"
    }
    return name.isEmpty ? "unknown" : String(name)
  }()
}
