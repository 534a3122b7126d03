import Audit
import JSON
import Vault

extension Report {
  /// Hands the checkpoint to the witnesses at the end of a run, if it made the log longer. What the run did is durable
  /// and reported by then, and none of it is taken back: a witness that is down is a gap, which is only noted.
  ///
  /// Returns false, and reports it, if a witness has seen another log. The failure that ended the run, `before`, is not
  /// reported twice.
  func handOver(_ options: CommonOptions, after before: Failure? = nil) async -> Bool {
    guard let places = try? Places(options), OpenedVaults.shared.hasChanged(at: places.vault) else { return true }
    let outcomes: [(name: String, outcome: Submission.Outcome)]
    do {
      let vault = try await places.openLocked()
      outcomes = try await Submission(vault, of: places, limit: Submission.briefly, isAskedFor: false).run()
    } catch {
      let failure = Failure(error)
      if failure.message != before?.message { self.failure(failure) }
      return failure.code != .corruptData
    }
    var isConsistent = true
    for (_, outcome) in outcomes {
      switch outcome {
      case .took: break
      case .missed(let failure): note(failure.message)
      case .withheld(let failure):
        // This lasts until somebody acts, and nothing else reports it.
        Diagnostics.standard.warning(failure.message)
        Diagnostics.standard.hint(failure.hint)
      case .contradicts(let failure):
        self.failure(failure)
        isConsistent = false
      }
    }
    return isConsistent
  }
}

extension WitnessStanding {
  /// The standing as `--json` shows it.
  var json: JSONValue {
    guard case .object(var members) = witness.witness.json else { return witness.witness.json }
    members["type"] = "witness"
    members["witness"] = members.removeValue(forKey: "name")
    members["unseen"] = .integer(Int(clamping: unseen))
    if let seen { members["size"] = .integer(Int(clamping: seen.checkpoint.size)) }
    if let since { members["since"] = .string(since.description) }
    if let cosigned { members["cosigned"] = .string(cosigned.description) }
    if let trouble { members["trouble"] = .string(trouble.description) }
    return .object(members)
  }

  /// What the witness has seen, in words.
  var text: String {
    if let trouble { return trouble.description }
    guard let seen else { return "has seen nothing yet" }
    var text = "has seen \(seen.checkpoint.size) entries"
    if let cosigned { text += ", signed at \(cosigned)" }
    if let since { text += "; \(unseen) more came since \(since)" }
    return text
  }
}

extension [WitnessStanding] {
  /// How long the log has gone on unseen, in words; nil if it has not, or if there is no witness.
  var gapText: String? {
    guard let gap, gap.entries > 0, let since = gap.since else { return nil }
    let entries = gap.entries == 1 ? "entry" : "\(gap.entries) entries"
    return "no witness has seen the last \(entries) of the log, since \(since)"
  }

  /// The same as `--json` shows it; nil if there is no witness.
  var gapJSON: JSONValue? {
    gap.map { gap in
      var members: [String: JSONValue] = [
        "type": "witnessed", "unseen": .integer(Int(clamping: gap.entries)), "witnesses": .integer(count),
      ]
      if let since = gap.since { members["since"] = .string(since.description) }
      return .object(members)
    }
  }
}
