internal import CCurl

/// The exchanges under way on one multi handle. It belongs to the loop's thread.
struct ExchangeSet {
  struct Ended {
    let start: CurlLoop.Start
    let outcome: CurlLoop.Outcome
  }

  private let multi: UnsafeMutableRawPointer
  private let poller: OpaquePointer
  private let configuration: TransportConfiguration
  private let line = HeaderLine()
  private var underWay: [UnsafeMutableRawPointer: (exchange: Exchange, start: CurlLoop.Start)] = [:]
  private var handles: [CurlLoop.Ticket: UnsafeMutableRawPointer] = [:]

  init(multi: UnsafeMutableRawPointer, poller: OpaquePointer, configuration: TransportConfiguration) {
    self.multi = multi
    self.poller = poller
    self.configuration = configuration
  }

  /// Begins an exchange; returns it if it has already failed.
  mutating func add(_ start: CurlLoop.Start) -> Ended? {
    do throws(TransportError) {
      let exchange = try Exchange(start.request, configuration, line)
      let status = ccurl_multi_add(multi, exchange.easy)
      guard status == CURLM_OK else {
        let host = start.request.endpoint.host
        throw TransportError(
          .outOfResources, host: host,
          "request to \(host): libcurl did not accept the exchange, code \(status.rawValue)")
      }
      underWay[exchange.easy] = (exchange, start)
      handles[start.ticket] = exchange.easy
      return nil
    } catch {
      return Ended(start: start, outcome: .failure(error))
    }
  }

  mutating func cancel(_ ticket: CurlLoop.Ticket) -> Ended? {
    handles[ticket].flatMap { remove($0) { .failure($0.cancelled()) } }
  }

  mutating func cancelAll() -> [Ended] { handles.keys.sorted().compactMap { cancel($0) } }

  /// Waits until an exchange can continue or the loop is woken, continues what can, and returns the exchanges that
  /// ended.
  mutating func turn() -> [Ended] {
    let wereUnderWay = !underWay.isEmpty
    let status = ccurl_poller_turn(poller, !wereUnderWay)
    var ended: [Ended] = []
    var easy: UnsafeMutableRawPointer?
    var result = CURLE_OK
    while ccurl_multi_next_done(multi, &easy, &result) {
      guard let easy, let end = remove(easy, { $0.outcome(of: result) }) else { continue }
      ended.append(end)
    }
    // Only out-of-memory and misuse lead here. No exchange can continue, and none may be left waiting for ever.
    if status != CURLM_OK { ended += cancelAll() }
    if wereUnderWay, underWay.isEmpty { ccurl_wipe_stack() }
    return ended
  }

  private mutating func remove(
    _ easy: UnsafeMutableRawPointer, _ outcome: (Exchange) -> CurlLoop.Outcome
  ) -> Ended? {
    guard let (exchange, start) = underWay.removeValue(forKey: easy) else { return nil }
    handles[start.ticket] = nil
    let end = Ended(start: start, outcome: outcome(exchange))
    // Must come before the handle is freed, which happens with the last use of `exchange`.
    ccurl_multi_remove(multi, easy)
    withExtendedLifetime(exchange) {}
    return end
  }
}
