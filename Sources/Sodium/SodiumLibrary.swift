import CSodium

/// libsodium's one-time start. Every function that allocates or draws bytes calls it first: otherwise `sodium_malloc`
/// aborts the process.
enum SodiumLibrary {
  private static let started: Bool = {
    // libsodium documents -1 as "not usable". Nothing in this program is safe without it, and no outside input causes
    // it.
    precondition(sodium_init() >= 0, "libsodium could not start")
    return true
  }()

  static func start() { _ = started }
}
