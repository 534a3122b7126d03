internal import CCurl

/// Why libcurl cannot be used.
enum LibcurlFailure {
  case missing, incomplete, tooOld, notStarted

  /// `nil` if `status`, the result of `ccurl_load`, says that libcurl is ready.
  init?(_ status: Int32) {
    switch Int(status) {
    case CCURL_READY: return nil
    case CCURL_LIBRARY_MISSING: self = .missing
    case CCURL_SYMBOL_MISSING: self = .incomplete
    case CCURL_TOO_OLD: self = .tooOld
    default: self = .notStarted
    }
  }

  func error(_ host: String) -> TransportError {
    let found =
      switch self {
      case .missing: "libcurl.so.4 is not installed, expected libcurl 7.85 or later"
      case .incomplete: "libcurl.so.4 lacks a function, expected libcurl 7.85 or later"
      case .tooOld: "libcurl.so.4 is too old, expected 7.85 or later"
      case .notStarted: "libcurl.so.4 could not be initialised"
      }
    return TransportError(.libraryMissing, host: host, "request to \(host): \(found)")
  }
}
