import Audit
import Glibc
import Rotation
import Synchronization

/// Sends messages to a syslog daemon as far as it can without waiting. A daemon that is gone, slow or full loses
/// messages; a rotation neither waits for it nor fails. The first loss is a warning.
final class SyslogSink: Sendable {
  private struct State {
    var descriptor: Int32 = -1
    var hasWarned = false
    /// The newest rotation of which a step was reported, by credential.
    var rotations: [String: UInt64] = [:]
  }

  private let address: SyslogAddress
  private let state: Mutex<State>

  init(_ address: SyslogAddress) {
    self.address = address
    state = Mutex(State())
  }

  deinit {
    let descriptor = state.withLock { $0.descriptor }
    if descriptor >= 0 { close(descriptor) }
  }

  /// Remembers which rotation later messages about its credential belong to.
  func note(_ step: RotationProgress) { state.withLock { $0.rotations[step.credential] = step.rotation } }

  /// Sends one message about `credential`, or about the run as a whole if that is nil.
  func send(
    _ severity: Severity, event: String, credential: String?, version: UInt64? = nil, code: ExitCode? = nil,
    text: String
  ) {
    state.withLock { state in
      var parameters: [(name: String, value: String)] = []
      if let credential { parameters.append(("credential", credential)) }
      parameters.append(("event", event))
      if let rotation = credential.flatMap({ state.rotations[$0] }) { parameters.append(("rotation", "\(rotation)")) }
      if let version { parameters.append(("version", "\(version)")) }
      if let code { parameters.append(("code", "\(code.rawValue)")) }
      let message = SyslogMessage(
        severity: severity, time: WallClock.now(), host: RunHolder.Place.hostName, process: getpid(), event: event,
        parameters: parameters, text: text)
      do throws(SyslogError) { try send(message.bytes, &state) } catch {
        guard !state.hasWarned else { return }
        state.hasWarned = true
        Diagnostics.standard.warning("syslog accepts no messages, so they are dropped: \(error)")
      }
    }
  }

  /// Sends an outcome; `text` says it in words.
  func outcome(_ outcome: RotationOutcome, of credential: String, text: String) {
    let (severity, event, version): (Severity, String, UInt64) =
      switch outcome {
      case .promoted(let active, _, _): (.notice, "promoted", active)
      case .settled(let active, _): (.notice, "settled", active)
      case .rejected(let active, _, _): (.error, "rejected", active)
      case .abandoned(let active): (.notice, "abandoned", active)
      case .stillAccepted(let active, _): (.warning, "still-accepted", active)
      case .undelivered(let active, _, _): (.error, "undelivered", active)
      case .delivered(let active, _): (.notice, "delivered", active)
      case .handedOver(let version, let pair): (pair == .settled ? .notice : .warning, outcome.word, version)
      }
    send(severity, event: event, credential: credential, version: version, code: outcome.exitCode, text: text)
  }

  /// Sends a failure. `credential` is nil for a failure of the whole run.
  func failure(_ failure: Failure, of credential: String?) {
    // What was done has been sent as its outcome.
    guard !failure.isOutputOnly else { return }
    let severity: Severity
    switch failure.code {
    // A shortfall has been sent as the outcome.
    case .validationFailed, .deliveryFailed, .debtOutstanding: return
    // This passes without anybody's help.
    case .heldByAnotherRun: severity = .notice
    case .providerUnreachable: severity = .warning
    default: severity = .error
    }
    send(severity, event: "failed", credential: credential, code: failure.code, text: failure.message)
  }

  private func send(_ bytes: [UInt8], _ state: inout State) throws(SyslogError) {
    if state.descriptor < 0 { state.descriptor = try address.connected().get() }
    guard Glibc.send(state.descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) != bytes.count else { return }
    let error = SyslogError(number: errno)
    // A restarted daemon has a new socket: the next message looks for it.
    close(state.descriptor)
    state.descriptor = -1
    throw error
  }
}
