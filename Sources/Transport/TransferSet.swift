internal import CCurl

/// The transfers under way on one multi handle. It belongs to the loop's thread.
struct TransferSet {
  struct Ended {
    let start: CurlLoop.Start
    let outcome: CurlLoop.Outcome
  }

  private let multi: UnsafeMutableRawPointer
  private let poller: OpaquePointer
  private let configuration: TransportConfiguration
  private let line = HeaderLine()
  private var underWay: [UnsafeMutableRawPointer: (transfer: Transfer, start: CurlLoop.Start)] = [:]
  private var handles: [CurlLoop.Ticket: UnsafeMutableRawPointer] = [:]

  init(multi: UnsafeMutableRawPointer, poller: OpaquePointer, configuration: TransportConfiguration) {
    self.multi = multi
    self.poller = poller
    self.configuration = configuration
  }

  /// Begins a transfer; returns it if it has already failed.
  mutating func add(_ start: CurlLoop.Start) -> Ended? {
    do throws(TransportError) {
      let transfer = try Transfer(start.request, configuration, line)
      let status = ccurl_multi_add(multi, transfer.easy)
      guard status == CURLM_OK else {
        let host = start.request.endpoint.host
        throw TransportError(
          .outOfResources, host: host,
          "request to \(host): libcurl did not accept the transfer, code \(status.rawValue)")
      }
      underWay[transfer.easy] = (transfer, start)
      handles[start.ticket] = transfer.easy
      return nil
    } catch {
      return Ended(start: start, outcome: .failure(error))
    }
  }

  mutating func cancel(_ ticket: CurlLoop.Ticket) -> Ended? {
    handles[ticket].flatMap { remove($0) { .failure($0.cancelled()) } }
  }

  mutating func cancelAll() -> [Ended] { handles.keys.sorted().compactMap { cancel($0) } }

  /// Waits until a transfer can continue or the loop is woken, continues what can, and returns the transfers that
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
    // Only out-of-memory and misuse lead here. No transfer can continue, and none may be left waiting for ever.
    if status != CURLM_OK { ended += cancelAll() }
    if wereUnderWay, underWay.isEmpty { ccurl_wipe_stack() }
    return ended
  }

  private mutating func remove(
    _ easy: UnsafeMutableRawPointer, _ outcome: (Transfer) -> CurlLoop.Outcome
  ) -> Ended? {
    guard let (transfer, start) = underWay.removeValue(forKey: easy) else { return nil }
    handles[start.ticket] = nil
    let end = Ended(start: start, outcome: outcome(transfer))
    // Must come before the handle is freed, which happens with the last use of `transfer`.
    ccurl_multi_remove(multi, easy)
    withExtendedLifetime(transfer) {}
    return end
  }
}
