import Audit
import OrgSimulator
import Rotation
import Storage
import Synchronization
import Testing
import Vault

// The laws as far as one can see them from outside: the org's requests, the runs' reports, the vault and its log.
extension Scenario {
  /// Fails the test where a law is broken. Called after every run, however the run ended.
  func checkLaws(_ when: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let context = Comment(rawValue: when)
    noteSecrets()
    // Law 3: never without a key.
    var hasKey = false
    for stage in [Stage.active, .staged, .previous] where !hasKey { hasKey = try await isAccepted(stage) }
    #expect(hasKey, context, sourceLocation: sourceLocation)
    checkOrder(context, sourceLocation)
    // Laws 6 and 8: the log verifies, and tells no secret.
    _ = try await logIsWhole()
    let secrets = secrets.withLock { $0 }
    let rows = try await store.read { try $0.rows(in: .log) }
    let log = rows.map { String(decoding: $0.value, as: UTF8.self) }.joined(separator: "\n")
    for secret in secrets { #expect(!log.contains(secret), context, sourceLocation: sourceLocation) }
    // No run leaves the lease behind, unless it died.
    let isSlotOurs = try await slotIsKnown()
    #expect(isSlotOurs, context, sourceLocation: sourceLocation)
  }

  /// Laws 1, 2 and 4, by the order of requests and entries.
  private func checkOrder(_ context: Comment, _ sourceLocation: SourceLocation) {
    for request in server.requests {
      let before = timeline.steps.filter { $0.requests < request.number }
      let last = before.last?.event
      switch request.method {
      case "PATCH":
        #expect(last == "promote.intended", context, sourceLocation: sourceLocation)
        let proved = before.lastIndex { $0.event == "validated" }
        let asked = before.lastIndex { $0.event == "validate.intended" }
        let saved = before.lastIndex { $0.event == "staged" }
        guard let proved, let asked, let saved, saved < asked, asked < proved else {
          Issue.record("a PATCH without a saved and proved pair: \(context)", sourceLocation: sourceLocation)
          continue
        }
        let grants = server.requests[before[asked].requests..<before[proved].requests].filter {
          $0.path == "/services/oauth2/token" && $0.acted
        }
        #expect(!grants.isEmpty, context, sourceLocation: sourceLocation)
      case "DELETE":
        let allowed = ["retire.intended", "discard.intended", "stage.intended", "stage.lost"]
        #expect(allowed.contains(last ?? ""), context, sourceLocation: sourceLocation)
      case "POST" where request.path.hasSuffix("/staged"):
        #expect(last == "stage.intended", context, sourceLocation: sourceLocation)
      default: break
      }
    }
  }

  /// Whether every pair the org accepts is one the vault can still name: nothing was made and forgotten.
  private func slotIsKnown() async throws -> Bool {
    guard let slot = try consumer().slot, slot.state != .expired else { return true }
    for stage in Stage.allCases {
      if let pair = try await saved(stage), text(pair.clientID) == slot.pair.key { return true }
    }
    // Staged and not yet adopted: the journal says that staging was asked for.
    let state = try await state()
    return state == .staging || state == .ready
  }

  /// The promise of a finished rotation: what is primary there is active here, and accepted.
  func checkPromoted(_ when: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let context = Comment(rawValue: when)
    let active = try #require(try await saved(.active))
    #expect(try consumer().primary?.key == text(active.clientID), context, sourceLocation: sourceLocation)
    #expect(try await isAccepted(.active), context, sourceLocation: sourceLocation)
  }

  /// How many requests of one kind took effect.
  func acted(_ method: String, _ suffix: String = "") -> Int {
    server.requests.count { $0.method == method && $0.acted && (suffix.isEmpty || $0.path.hasSuffix(suffix)) }
  }
}

extension Result where Success == RotationOutcome {
  var isPromoted: Bool { if case .success(.promoted) = self { true } else { false } }
  var isSettled: Bool { if case .success(.settled) = self { true } else { false } }

  /// The code of the engine's own error; nil for success and for any other error.
  var code: RotationError.Code? { if case .failure(let error) = self { (error as? RotationError)?.code } else { nil } }
}
