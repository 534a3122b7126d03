import CSodium

/// libsodium's one-time start. Every entry that allocates or draws bytes passes here first: `sodium_malloc` aborts the
/// process otherwise.
enum SodiumLibrary {
  private static let started: Bool = {
    // libsodium documents -1 as "not usable"; nothing this program does is safe without it, and no outside input decides it.
    precondition(sodium_init() >= 0, "libsodium could not start")
    return true
  }()

  static func start() { _ = started }
}
