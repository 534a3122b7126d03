package import Audit
import Sodium
package import Vault

/// One thing that was checked before a rotation, and what was found.
package struct RotationFinding: Hashable, Sendable {
  package enum Level: String, Sendable {
    case ok
    /// It would not stop a rotation; a person should look.
    case warning
    /// It would stop a rotation.
    case obstacle
  }

  /// What was checked, in one word that does not change.
  package enum Check: String, Sendable {
    // On this machine.
    case delivery, disk, folder, lease, log, `operator`, restored, zone
    // At the provider.
    case clock, primary, probe, provider, replacement, scope, secret, slot, token
  }

  package let check: Check
  package let level: Level
  package let text: String
  package let hint: String?
  /// When it ends automatically, if that is known.
  package let until: Timestamp?

  package init(_ check: Check, _ level: Level, _ text: String, hint: String? = nil, until: Timestamp? = nil) {
    self.check = check
    self.level = level
    self.text = text
    self.hint = hint
    self.until = until
  }

  /// What could not be checked, because of the provider's error.
  package init(_ check: Check, _ error: ProviderError) {
    self.init(check, .obstacle, error.description, hint: error.hint)
  }
}

/// A provider that can show the secret of its primary pair, under the same permission and switch that show a new
/// pair's.
package protocol PrimaryReader: CredentialProvider {
  /// The primary pair with its secret, or without it if the provider leaves it out. Changes nothing.
  func readPrimary(_ observation: Observation) async throws(ProviderError) -> ObservedPair
}

/// What a rotation would meet, found by reading only. What a reading means is decided without any input or output; for
/// the slot and the primary pair, by the same rules that stop the engine itself.
package struct RotationPreflight: Sendable {
  let credential: Credential
  let journal: RotationJournal?
  /// The vault's pairs that may still be accepted, by version.
  let pairs: [UInt64: Pair]

  package init(credential: Credential, journal: RotationJournal?, pairs: [UInt64: Pair]) {
    self.credential = credential
    self.journal = journal
    self.pairs = pairs
  }

  var active: (number: UInt64, pair: Pair)? {
    guard let number = credential.version(in: .active)?.number, let pair = pairs[number] else { return nil }
    return (number, pair)
  }

  /// Sends `provider` those requests of a rotation that change nothing: one look, a read of the primary pair's secret,
  /// one grant.
  package func findings(
    asking provider: any CredentialProvider, clock: @Sendable () -> Timestamp
  ) async -> [RotationFinding] {
    guard let active else { return [] }
    var findings: [RotationFinding] = []
    var met: ProviderError?
    if provider.replacement == .cutOver {
      findings.append(RotationFinding(.replacement, .warning, Replacement.cutOverWarning))
    }
    do {
      let seen = try await provider.observe(
        known: KnownPairs(of: credential, pairs, isStaging: journal?.machine.state == .staging))
      findings.append(RotationFinding(.provider, .ok, "the provider shows the app, its consumer and what is staged"))
      findings += self.findings(in: seen, now: clock())
      if let reader = provider as? any PrimaryReader {
        do throws(ProviderError) { findings.append(finding(inPrimary: try await reader.readPrimary(seen))) } catch {
          findings.append(RotationFinding(.secret, error))
        }
      }
    } catch {
      findings.append(RotationFinding(.provider, error))
      met = error
    }
    let asked = clock()
    do throws(ProviderError) {
      let evidence = try await provider.validate(active.pair)
      findings += self.findings(in: evidence, asked: asked, answered: clock())
    } catch {
      // An obstacle to both requests is reported once.
      if error == met { return findings }
      // A rotation replaces a refused pair as well as an accepted one.
      let level = RotationFinding.Level.warning
      findings.append(
        RotationFinding(.token, level, "version \(active.number), the active one: \(error)", hint: error.hint))
    }
    return findings
  }

  /// What the primary pair and the slot mean for the next rotation.
  package func findings(in seen: Observation, now: Timestamp) -> [RotationFinding] {
    guard let primary = primaryFinding(in: seen) else { return [] }
    // The rotation goes on with the slot as the promotion has left it.
    guard promoted(in: seen) == nil else { return [primary] }
    return [primary, slotFinding(RotationSlot(seen, known: pairs), now: now)]
  }

  /// The staged version, if it is the provider's primary pair after a promotion whose answer was lost. What looks like
  /// someone else's work is then our own run's.
  func promoted(in seen: Observation) -> UInt64? {
    guard journal?.machine.state == .promoting, let staged = credential.version(in: .staged)?.number,
      let pair = pairs[staged], seen.primary.matches(pair)
    else { return nil }
    return staged
  }

  /// What the primary pair means for the next rotation; nil if the active pair was not opened.
  func primaryFinding(in seen: Observation) -> RotationFinding? {
    guard let active else { return nil }
    if let promoted = promoted(in: seen) {
      return RotationFinding(.primary, .ok, "version \(promoted) was promoted and is primary: the rotation goes on")
    }
    if let obstacle = StagingObstacle(primaryOf: seen, active: active.pair, number: active.number) {
      return RotationFinding(.primary, obstacle)
    }
    return RotationFinding(.primary, .ok, "version \(active.number), the active one, is primary")
  }

  /// Whether what holds `slot` is a replaced pair that the credential owes.
  func owes(_ slot: RotationSlot) -> Bool {
    guard case .ours(let version, let place, _) = slot, place != .staged else { return false }
    return credential.debts.contains { $0.number == version }
  }

  /// What holds `slot`, and what that means for the next rotation.
  func slotFinding(_ slot: RotationSlot, now: Timestamp) -> RotationFinding {
    switch slot {
    case .free: return RotationFinding(.slot, .ok, "the staging slot is free")
    case .ours(let version, .staged, _):
      return RotationFinding(.slot, .ok, "version \(version) is staged: the rotation goes on with it")
    case .ours(let version, _, let expires) where owes(slot):
      guard let graceEnds = journal?.graceEnds(of: credential), graceEnds > now else {
        return RotationFinding(
          .slot, .ok, "version \(version) holds the staging slot, its grace is over: it is retired first")
      }
      let end = expires.map { "; the provider ends it at \($0)" } ?? ""
      return RotationFinding(
        .slot, .obstacle,
        "version \(version), replaced and still accepted, holds the staging slot until its grace ends at \(graceEnds)\(end)",
        hint: journal?.machine.state.isOwing == true
          ? "`relatch retire \(credential.name)` ends it now, and cuts off anyone who still uses version \(version),"
            + " but only once every sink and hook has the new pair, or with --undelivered"
          : "`relatch rotate --replace-previous \(credential.name)` ends it now, and cuts off anyone who still uses it",
        until: graceEnds)
    case .ours, .foreignStaged, .foreignReplaced:
      guard let obstacle = StagingObstacle(slot, of: credential.name) else {
        return RotationFinding(.slot, .ok, "the staging slot is free")
      }
      return RotationFinding(.slot, obstacle)
    }
  }

  private func finding(inPrimary shown: ObservedPair) -> RotationFinding {
    guard let secret = shown.clientSecret else {
      return RotationFinding(
        .secret, .obstacle, "the provider does not show the primary pair's secret, and would not show a new one's",
        hint: "allow access to consumer secrets via REST API in the provider's set-up; it may take a while")
    }
    guard let active, shown.matches(active.pair) else {
      return RotationFinding(.secret, .ok, "the provider shows the primary pair's secret")
    }
    let isSame = secret.secret.isEqual(to: active.pair.clientSecret)
    return isSame
      ? RotationFinding(.secret, .ok, "the provider shows the secret of version \(active.number), as the vault has it")
      : RotationFinding(
        .secret, .warning, "the provider shows a secret for version \(active.number) that is not the vault's",
        hint: "rotate the credential: someone changed the secret at the provider, and the vault's is refused")
  }

  /// What a grant to the active pair means. `asked` and `answered` are this machine's times of the request and of the
  /// answer.
  package func findings(in evidence: GrantEvidence, asked: Timestamp, answered: Timestamp) -> [RotationFinding] {
    let number = active?.number ?? 0
    var findings = [RotationFinding(.token, .ok, "version \(number), the active one, was granted a token")]
    if evidence.probe != nil {
      findings.append(RotationFinding(.probe, .ok, "the read that its settings name is allowed"))
    }
    findings += evidence.remarks.map { RotationFinding(.scope, .warning, $0) }
    guard let theirs = evidence.providerTime else {
      return findings + [RotationFinding(.clock, .ok, "the provider does not tell its time")]
    }
    let difference = ClockDifference(theirs, asked: asked, answered: answered)
    if difference.duration >= ClockDifference.limit {
      findings.append(RotationFinding(.clock, .obstacle, difference.text, hint: ClockDifference.hint))
    } else if difference.duration >= ClockDifference.notable {
      findings.append(RotationFinding(.clock, .warning, difference.text, hint: ClockDifference.hint))
    } else {
      findings.append(RotationFinding(.clock, .ok, difference.text))
    }
    return findings
  }
}

extension RotationFinding {
  fileprivate init(_ check: Check, _ obstacle: StagingObstacle) {
    self.init(check, .obstacle, obstacle.text, hint: obstacle.hint, until: obstacle.until)
  }
}
