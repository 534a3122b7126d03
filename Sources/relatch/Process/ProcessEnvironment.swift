import Glibc

/// The environment, which is read only where the program is put together and nowhere below.
enum ProcessEnvironment {
  /// The value of `name`; nil if it is absent or empty.
  static func value(of name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }
}
