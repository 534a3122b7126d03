import Glibc

/// How many files and connections this process may have open at once (RLIMIT_NOFILE, `ulimit -n`).
///
/// Looked at beforehand: at the limit Swift's runtime ends the process, which opens files in /proc to count its threads,
/// and a name cannot be resolved, which looks as if the network were down.
enum OpenFiles {
  /// What a process needs without a connection: the vault, its log, libraries, programs it runs, and the runtime.
  private static let base: UInt = 64
  /// A connection, the pair of sockets by which the thread that resolves its name answers, and a file it delivers to
  /// beside the old one.
  private static let perJob: UInt = 6

  /// Fails with `cannotWrite` if this process may open too few files to work at all.
  static func requireEnough() throws(Failure) {
    let limit = raised(to: base)
    guard limit >= base else {
      throw Failure(
        .cannotWrite, "this process may open \(limit) files (ulimit -n), and needs \(base)",
        hint: "raise the limit: `ulimit -n 1024`, or LimitNOFILE= of a systemd unit")
    }
  }

  /// How many of `jobs` can be worked on at once, at least 1, after raising this process's own limit as far as that
  /// takes. Programs that it starts get the raised limit: they have none of its files.
  static func jobs(_ jobs: Int) -> Int {
    let needed = base + UInt(clamping: jobs) * perJob
    let limit = raised(to: needed)
    return limit >= needed ? jobs : max(Int(clamping: (max(limit, base) - base) / perJob), 1)
  }

  /// The limit, after raising it to `wanted` if it was less, as far as is allowed.
  private static func raised(to wanted: UInt) -> UInt {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0 else { return wanted }
    guard limit.rlim_cur < wanted else { return limit.rlim_cur }
    let before = limit.rlim_cur
    limit.rlim_cur = min(wanted, limit.rlim_max)
    return setrlimit(resource, &limit) == 0 ? limit.rlim_cur : before
  }
}
