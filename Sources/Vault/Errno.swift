import Glibc

/// The system's words for its errors.
package enum Errno {
  /// Those for the last one.
  package static var text: String { text(errno) }

  package static func text(_ number: Int32) -> String { String(cString: strerror(number)) }
}
