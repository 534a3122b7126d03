internal import CCurl
internal import Sodium

/// Sets libcurl's options on one handle and remembers the first that libcurl refused. An exchange without one of them,
/// such as the verification of certificates, must not start.
struct Options {
  private let easy: UnsafeMutableRawPointer
  private(set) var failure: (option: Int, code: Int)?

  init(_ easy: UnsafeMutableRawPointer) { self.easy = easy }

  mutating func note(_ option: CURLoption, _ result: CURLcode) {
    if result != CURLE_OK, failure == nil { failure = (Int(option.rawValue), Int(result.rawValue)) }
  }

  private mutating func set(_ option: CURLoption, _ value: Int) { note(option, ccurl_set_long(easy, option, value)) }

  private mutating func set(_ option: CURLoption, _ value: String?) {
    note(option, ccurl_set_string(easy, option, value))
  }

  private mutating func set(_ option: CURLoption, size: Int) {
    note(option, ccurl_set_offset(easy, option, curl_off_t(size)))
  }

  /// Sets where the connection goes and how it is made.
  mutating func setConnection(_ request: HTTPRequest, _ configuration: TransportConfiguration) {
    let endpoint = request.endpoint
    set(CURLOPT_URL, endpoint.url)
    set(CURLOPT_PROTOCOLS_STR, endpoint.isEncrypted ? "https" : "http")
    set(CURLOPT_PATH_AS_IS, 1)
    set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1)
    set(CURLOPT_NOSIGNAL, 1)
    set(CURLOPT_TCP_NODELAY, 1)
    // A look-up that outlives its exchange is left to end on its own: waiting for it would hold up every other
    // exchange.
    set(CURLOPT_QUICK_EXIT, 1)
    // Servers close idle connections after a minute or so. Reusing one too late would lose a mutating request.
    set(CURLOPT_MAXAGE_CONN, 30)
    if request.needsNewConnection { set(CURLOPT_FRESH_CONNECT, 1) }
    // Safe: the exchange holds the request, and so the share, until its handle is gone.
    if let own = request.connections {
      note(CURLOPT_SHARE, own.handle().map { ccurl_set_pointer(easy, CURLOPT_SHARE, $0) } ?? CURLE_OUT_OF_MEMORY)
    }
    setProxy(endpoint, configuration)

    set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    set(CURLOPT_SSL_VERIFYPEER, 1)
    set(CURLOPT_SSL_VERIFYHOST, 2)
    if let caFile = configuration.caFile { set(CURLOPT_CAINFO, caFile) }
    // Debian builds a directory in. With one set, libcurl parses the whole bundle for each connection: 20 ms instead of
    // 1.
    set(CURLOPT_CAPATH, nil)
    note(CURLOPT_SSL_CTX_FUNCTION, ccurl_cleanse_tls_records(easy))

    // nghttp2 frees its copies of headers and bodies without wiping them. And with many exchanges on one connection,
    // cancelling some was seen to leave others without an answer (libcurl 7.88).
    set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
  }

  private mutating func setProxy(_ endpoint: Endpoint, _ configuration: TransportConfiguration) {
    // An empty name is libcurl's way to say "none, whatever the environment says".
    if endpoint.isLoopback || !configuration.usesEnvironmentProxy { set(CURLOPT_PROXY, "") }
    // The proxy's own answer is not the server's.
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
  }

  /// Sets what to send. `headers` and the body remain the caller's and must outlive the exchange.
  mutating func setRequest(_ request: HTTPRequest, headers: UnsafeMutablePointer<curl_slist>?) {
    set(CURLOPT_USERAGENT, "relatch")
    set(CURLOPT_FOLLOWLOCATION, 0)
    set(CURLOPT_CONNECTTIMEOUT_MS, request.limits.connecting.milliseconds)
    set(CURLOPT_TIMEOUT_MS, request.limits.total.milliseconds)
    // An answer that announces too large a body is refused before the body's first byte.
    set(CURLOPT_MAXFILESIZE_LARGE, size: max(1, request.limits.answer))
    setBody(request)
    // After CURLOPT_POST and CURLOPT_HTTPGET, which choose a method themselves.
    set(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
    note(CURLOPT_HTTPHEADER, ccurl_set_headers(easy, headers))
  }

  private mutating func setBody(_ request: HTTPRequest) {
    switch (request.body, request.method) {
    case (.none, .get), (.none, .delete):
      set(CURLOPT_HTTPGET, 1)
    case (.none, _):
      // This sends "Content-Length: 0". Without it, some servers wait for a body.
      setBody(UnsafeRawBufferPointer(start: noBody, count: 0))
    case (.bytes(let bytes, _), _):
      // Not secret: libcurl makes its own copy, because an array has no lasting address.
      bytes.withUnsafeBytes { setBody($0, CURLOPT_COPYPOSTFIELDS) }
    case (.secret(let secret, _), _):
      // The guarded pages themselves: they live as long as `request`, which the exchange holds.
      secret.secret.withUnsafeBytes { setBody($0) }
    }
  }

  private mutating func setBody(_ bytes: UnsafeRawBufferPointer, _ option: CURLoption = CURLOPT_POSTFIELDS) {
    set(CURLOPT_POST, 1)
    // Must come before the bytes: libcurl copies as many as this says.
    set(CURLOPT_POSTFIELDSIZE_LARGE, size: bytes.count)
    note(option, ccurl_set_pointer(easy, option, bytes.baseAddress ?? UnsafeRawPointer(noBody)))
  }
}

/// The address of an empty body, because to libcurl null means "ask the read callback". Never written to.
nonisolated(unsafe) private let noBody = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)

extension Duration {
  /// At least 1, because libcurl reads 0 as "no limit", and at most 2,000,000,000, which fits in 32 bits.
  fileprivate var milliseconds: Int {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return 1 }
    guard seconds < 2_000_000 else { return 2_000_000_000 }
    return max(1, Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
  }
}
