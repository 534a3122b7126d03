internal import CCurl
internal import Glibc

/// libcurl's multi handle and the only thread that uses it. Callers put commands in an inbox and wake the thread.
final class CurlLoop: Sendable {
  typealias Ticket = UInt64
  typealias Outcome = Result<HTTPResponse, TransportError>

  struct Start {
    let request: HTTPRequest
    let ticket: Ticket
    let caller: CheckedContinuation<Outcome, Never>
  }

  private enum Command {
    case start(Start)
    case cancel(Ticket)
  }

  /// The state of a ticket from its reservation to its release. A cancellation may come before its start or after its
  /// end.
  private enum Progress { case reserved, cancelled, started, ended }

  private enum Phase {
    case unstarted
    // Safe to hold: other threads call only `ccurl_poller_wake`, and only while `running` or `stopping` holds the
    // poller.
    case running(OpaquePointer)
    case stopping(OpaquePointer)
    case stopped
  }

  private struct Inbox {
    var phase = Phase.unstarted
    var commands: [Command] = []
    var progress: [Ticket: Progress] = [:]
    var stoppers: [CheckedContinuation<Void, Never>] = []
    var nextTicket: Ticket = 0
  }

  private let configuration: TransportConfiguration
  private let inbox = Locked(Inbox())

  init(_ configuration: TransportConfiguration) { self.configuration = configuration }

  // MARK: - From any thread

  static func load() { _ = ccurl_load() }

  static var isOnThread: Bool { ccurl_is_named_thread() }

  func reserveTicket() -> Ticket {
    inbox.withLock { inbox in
      inbox.nextTicket &+= 1
      inbox.progress[inbox.nextTicket] = .reserved
      return inbox.nextTicket
    }
  }

  /// Must be called with every ticket after its caller has been resumed.
  ///
  /// `deliver` has taken the lock before. Taking it again here shows ThreadSanitizer that the answer's bytes are
  /// written before they are read, which it cannot see of a continuation that is resumed before it is awaited.
  func release(_ ticket: Ticket) { inbox.withLock { $0.progress[ticket] = nil } }

  /// Starts `request`. Resumes `caller` exactly once, here or on the loop's thread.
  func start(_ request: HTTPRequest, _ ticket: Ticket, _ caller: CheckedContinuation<Outcome, Never>) {
    let host = request.endpoint.host
    let refusal: TransportError? = inbox.withLock { inbox in
      guard case .reserved = inbox.progress[ticket] else { return .cancelled(host, "cancelled") }
      inbox.progress[ticket] = .ended
      if let failure = begin(&inbox, host) { return failure }
      inbox.progress[ticket] = .started
      leave(.start(Start(request: request, ticket: ticket, caller: caller)), in: &inbox)
      return nil
    }
    if let refusal { caller.resume(returning: .failure(refusal)) }
  }

  func cancel(_ ticket: Ticket) {
    inbox.withLock { inbox in
      switch inbox.progress[ticket] {
      case .reserved: inbox.progress[ticket] = .cancelled
      case .started:
        leave(.cancel(ticket), in: &inbox)
      case .cancelled, .ended, nil: break
      }
    }
  }

  func stop(_ stopper: CheckedContinuation<Void, Never>?) {
    let isOver = inbox.withLock { inbox in
      switch inbox.phase {
      case .unstarted:
        inbox.phase = .stopped
        return true
      case .stopped: return true
      case .running(let poller), .stopping(let poller):
        inbox.phase = .stopping(poller)
        if let stopper { inbox.stoppers.append(stopper) }
        wake(inbox)
        return false
      }
    }
    if isOver { stopper?.resume() }
  }

  private func leave(_ command: Command, in inbox: inout Inbox) {
    inbox.commands.append(command)
    // The thread takes all commands together, and the caller that left the first has already woken it.
    if inbox.commands.count == 1 { wake(inbox) }
  }

  private func wake(_ inbox: Inbox) {
    switch inbox.phase {
    case .running(let poller), .stopping(let poller): ccurl_poller_wake(poller)
    case .unstarted, .stopped: break
    }
  }

  /// Loads libcurl and starts the thread if this is the first request. Returns an error if no request can be made.
  private func begin(_ inbox: inout Inbox, _ host: String) -> TransportError? {
    switch inbox.phase {
    case .running: return nil
    case .stopping, .stopped: return .cancelled(host, "the transport is shut down")
    case .unstarted: break
    }
    if let failure = LibcurlFailure(ccurl_load()) { return failure.error(host) }
    guard let multi = ccurl_multi_init() else {
      return TransportError(.outOfResources, host: host, "request to \(host): libcurl gave no multi handle")
    }
    // Without a fixed number libcurl keeps four connections per exchange under way, and closes the others in each lull.
    ccurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, 256)
    guard let poller = ccurl_poller_create(multi) else {
      ccurl_multi_cleanup(multi)
      return TransportError(.outOfResources, host: host, "request to \(host): no descriptors for libcurl")
    }
    guard startThread(multi, poller) else {
      ccurl_multi_cleanup(multi)
      ccurl_poller_destroy(poller)
      return TransportError(.outOfResources, host: host, "request to \(host): no thread for libcurl")
    }
    inbox.phase = .running(poller)
    return nil
  }

  /// Enough for libcurl, its TLS and `ccurl_wipe_stack`, whatever limit this process was started with (RLIMIT_STACK).
  private static let stackSize = 1 << 20

  private func startThread(_ multi: UnsafeMutableRawPointer, _ poller: OpaquePointer) -> Bool {
    let thread = Unmanaged.passRetained(ThreadStart(loop: self, multi: multi, poller: poller))
    var (id, attributes) = (pthread_t(), pthread_attr_t())
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, Self.stackSize)
    let status = pthread_create(&id, &attributes, { CurlLoop.threadMain($0) }, thread.toOpaque())
    guard status == 0 else {
      thread.release()
      return false
    }
    pthread_detach(id)
    return true
  }

  // MARK: - On the thread

  private final class ThreadStart {
    let loop: CurlLoop
    let multi: UnsafeMutableRawPointer
    let poller: OpaquePointer

    init(loop: CurlLoop, multi: UnsafeMutableRawPointer, poller: OpaquePointer) {
      self.loop = loop
      self.multi = multi
      self.poller = poller
    }
  }

  private static func threadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    let start = Unmanaged<ThreadStart>.fromOpaque(context).takeRetainedValue()
    ccurl_name_thread("relatch-http")
    // Signals are for the main thread, and a peer that hangs up must cause an error here, never a SIGPIPE.
    var all = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, nil)
    start.loop.run(start.multi, start.poller)
    return nil
  }

  private func run(_ multi: UnsafeMutableRawPointer, _ poller: OpaquePointer) {
    var exchanges = ExchangeSet(multi: multi, poller: poller, configuration: configuration)
    while true {
      let (commands, isStopping) = inbox.withLock { inbox in
        defer { inbox.commands.removeAll() }
        if case .stopping = inbox.phase { return (inbox.commands, true) }
        return (inbox.commands, false)
      }
      for command in commands {
        switch command {
        case .start(let start): deliver(exchanges.add(start))
        case .cancel(let ticket): deliver(exchanges.cancel(ticket))
        }
      }
      if isStopping { break }
      // The poller remembers a wake-up that came since the inbox was emptied, so none is lost.
      for ended in exchanges.turn() { deliver(ended) }
    }
    for ended in exchanges.cancelAll() { deliver(ended) }
    end(multi, poller)
  }

  private func end(_ multi: UnsafeMutableRawPointer, _ poller: OpaquePointer) {
    // The phase changes before the poller is freed, so that no other thread wakes one that is gone.
    let (left, stoppers) = inbox.withLock { inbox in
      inbox.phase = .stopped
      defer { (inbox.commands, inbox.stoppers) = ([], []) }
      return (inbox.commands, inbox.stoppers)
    }
    for case .start(let start) in left {
      let error = TransportError.cancelled(start.request.endpoint.host, "the transport is shut down")
      deliver(ExchangeSet.Ended(start: start, outcome: .failure(error)))
    }
    ccurl_multi_cleanup(multi)
    ccurl_poller_destroy(poller)
    ccurl_wipe_stack()
    for stopper in stoppers { stopper.resume() }
  }

  private func deliver(_ ended: ExchangeSet.Ended?) {
    guard let ended else { return }
    inbox.withLock { $0.progress[ended.start.ticket] = .ended }
    ended.start.caller.resume(returning: ended.outcome)
  }
}

extension TransportError {
  static func cancelled(_ host: String, _ why: String) -> TransportError {
    TransportError(.cancelled, host: host, "request to \(host): \(why), nothing was sent")
  }
}
