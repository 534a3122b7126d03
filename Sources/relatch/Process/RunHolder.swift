import Glibc

/// The words that a run writes into its lease. They are enough for another run on the same machine to see that the run
/// is dead, whatever the clock says, and for a person to find it.
///
///     pid 4242 on db1 (start 8127346, boot 0b1f…, pid-ns 4026531836, time-ns 4026531834)
struct RunHolder: Hashable, Sendable, CustomStringConvertible {
  /// The scope in which a pid and a start time mean something: one boot of one machine, seen from one container.
  struct Place: Hashable, Sendable {
    let host: String
    let boot: String
    let pidNamespace: UInt64
    /// Start times are counted from an offset that a time namespace may move. 0 if the kernel has no time namespaces
    /// (before 5.6).
    let timeNamespace: UInt64
  }

  let pid: Int32
  let start: UInt64
  let place: Place

  /// This process; nil if `/proc` does not say.
  static let current: RunHolder? = {
    guard let state = ProcessState(of: "self"), let place = Place.here else { return nil }
    return RunHolder(pid: getpid(), start: state.start, place: place)
  }()

  /// The words of this process. Without `/proc` they only name the process, and no other run ever considers it dead.
  static var words: String { current?.description ?? "pid \(getpid()) on \(Place.hostName)" }

  var description: String {
    "pid \(pid) on \(place.host) (start \(start), boot \(place.boot), pid-ns \(place.pidNamespace),"
      + " time-ns \(place.timeNamespace))"
  }

  /// Whether the run that took a lease as `words` is certainly dead. False in every case of doubt: another machine,
  /// another container, another boot, words of another form. Such a lease ends when it expires.
  ///
  /// Another boot of a machine with the same name is a doubt, too: machines made from one image share names and machine
  /// ids.
  static func isGone(_ words: String) -> Bool {
    guard let holder = RunHolder(words), holder.place == Place.here else { return false }
    return holder.isGone
  }

  private var isGone: Bool {
    guard let state = ProcessState(of: String(pid)) else {
      // `/proc` may hide other users' processes, but the kernel still says whether there is one.
      return kill(pid, 0) != 0 && errno == ESRCH
    }
    return state.isDead || state.start != start
  }
}

extension RunHolder {
  /// Reads the form that `description` has; nil for any other text.
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
    // Comparing with what would be written checks every word and comma, and refuses signs and leading zeros.
    guard description == words else { return nil }
  }
}

extension RunHolder.Place {
  /// Where this process runs; nil if `/proc` does not say.
  static let here: Self? = {
    guard let boot = ProcFile.text("/proc/sys/kernel/random/boot_id")?.split(separator: "\n").first,
      let pidNamespace = ProcFile.namespace("pid")
    else { return nil }
    return Self(
      host: hostName, boot: String(boot), pidNamespace: pidNamespace, timeNamespace: ProcFile.namespace("time") ?? 0)
  }()

  /// The kernel's name for this machine or container. Characters that a host name cannot have are replaced.
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
