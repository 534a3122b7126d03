import Glibc

/// What a signal does to this process.
struct SignalAction {
  /// The action as the kernel returns it; `install` hands it back.
  private let action: sigaction

  /// What `number` does now.
  static func current(of number: Int32) -> SignalAction {
    var action = sigaction()
    sigaction(number, nil, &action)
    return SignalAction(action: action)
  }

  /// Whether the signal is ignored.
  var isIgnored: Bool {
    unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  /// Makes the signal `number` do this.
  func install(for number: Int32) {
    var action = action
    sigaction(number, &action, nil)
  }

  /// Calls `handler`. System calls that it interrupts go on afterwards.
  static func calling(_ handler: @escaping @convention(c) (Int32) -> Void) -> SignalAction {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = handler
    action.sa_flags = SA_RESTART
    return SignalAction(action: action)
  }
}
