internal import CCurl
internal import Sodium

/// One request under way: libcurl's handle, what was received, and how often sending began.
///
/// It belongs to the loop's thread from `init` to `deinit`; libcurl calls it only there.
final class Exchange {
  let request: HTTPRequest
  let easy: UnsafeMutableRawPointer
  private let headers: HeaderList
  private(set) var head = AnswerHead()
  private var body: SecretBuffer?
  /// How many times libcurl has had a ready connection and begun to send the request.
  private(set) var sends = 0
  /// Why a callback made libcurl give up.
  private(set) var refusal: TransportError.Code?

  /// Throws `outOfResources`, or `libraryMissing` if this libcurl refuses one of the options that keep an exchange safe.
  init(_ request: HTTPRequest, _ configuration: TransportConfiguration, _ line: HeaderLine) throws(TransportError) {
    self.request = request
    let host = request.endpoint.host
    do {
      headers = try HeaderList(of: request, puttingTogetherIn: line)
    } catch {
      throw TransportError(.outOfResources, host: host, "request to \(host): no memory for its headers")
    }
    guard let easy = ccurl_easy_init() else {
      throw TransportError(.outOfResources, host: host, "request to \(host): libcurl gave no handle")
    }
    self.easy = easy
    var options = Options(easy)
    options.setConnection(request, configuration)
    options.setRequest(request, headers: headers.list)
    setCallbacks(&options)
    guard let failed = options.failure else { return }
    throw TransportError(
      .libraryMissing, host: host,
      "request to \(host): libcurl refused option \(failed.option) with code \(failed.code), expected 0",
      curlCode: failed.code)
  }

  /// Frees the handle, which wipes libcurl's copies of the request.
  deinit { ccurl_easy_cleanup(easy) }

  /// The answer's body; empty if none came. Throws `SodiumError` if there is no memory even for an empty one.
  func takeBody() throws -> SharedSecret {
    guard let received = body.take() else { return SharedSecret(try SecretBytes(capacity: 0) { _ in }) }
    return SharedSecret(received.seal())
  }

  private func setCallbacks(_ options: inout Options) {
    // Unretained is safe: the loop holds this object as long as the handle can make calls.
    let context = Unmanaged.passUnretained(self).toOpaque()
    let onRequest: ccurl_before_request = { context, _, _, _, _ in
      Exchange.from(context)?.mayStartSending() == true ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
    }
    let onHeader: ccurl_receive = { Exchange.from($3)?.receiveHeader(start: $0, count: $1 * $2) ?? 0 }
    let onBody: ccurl_receive = { Exchange.from($3)?.receiveBody(start: $0, count: $1 * $2) ?? 0 }
    options.note(CURLOPT_PREREQFUNCTION, ccurl_on_request(easy, onRequest, context))
    options.note(CURLOPT_HEADERFUNCTION, ccurl_on_header(easy, onHeader, context))
    options.note(CURLOPT_WRITEFUNCTION, ccurl_on_body(easy, onBody, context))
  }

  private static func from(_ context: UnsafeMutableRawPointer?) -> Exchange? {
    context.map { Unmanaged<Exchange>.fromOpaque($0).takeUnretainedValue() }
  }

  /// Whether libcurl may send the request, asked before each send and never after a byte of it.
  ///
  /// If a reused connection dies before the first byte of an answer, libcurl sends the request again automatically,
  /// whatever its method (`Curl_retry_request`). The server may have acted by then, so a mutating request is stopped
  /// here instead.
  private func mayStartSending() -> Bool {
    guard sends == 0 || !request.isMutating else { return false }
    sends += 1
    return true
  }

  private func receiveHeader(start: UnsafeMutablePointer<CChar>?, count: Int) -> Int {
    guard head.append(UnsafeRawBufferPointer(start: start, count: count)) else {
      refusal = .protocolViolation
      return 0
    }
    return count
  }

  /// Returning less than `count` makes libcurl end the exchange.
  private func receiveBody(start: UnsafeMutablePointer<CChar>?, count: Int) -> Int {
    let held = body?.count ?? 0
    guard count <= request.limits.answer - held else {
      refusal = .answerTooLarge
      return 0
    }
    do {
      // One allocation if the size is announced and within the limit. Otherwise start with less than a page and double
      // it.
      let room = min(head.contentLength ?? 4000, request.limits.answer)
      if body == nil { body = try SecretBuffer(capacity: max(count, room)) }
      try body?.append(UnsafeRawBufferPointer(start: start, count: count))
      return count
    } catch {
      refusal = .outOfResources
      return 0
    }
  }
}
