package import Audit
package import Vault

// One pair under two names: a rotation of either would end it for the other.
extension UnlockedVault {
  /// Fails with `invalidInput` if the pair of one of `all`, which are to be added, is also that of another of them in
  /// the same place, or of a version, not retired, of a credential there that was not handed over. `places` returns, for
  /// a kind of provider, the settings that say where pairs are.
  ///
  /// Only what is in one of these places is opened, with an entry `pair.used` for each credential. A damaged one is not
  /// compared. Does nothing for a member who is no owner, and may not add credentials.
  package func requireNoneHas(
    _ all: [NewCredential], by places: @Sendable (_ provider: String) -> Set<String>?, now: Timestamp
  ) async throws {
    guard member.card.role == .owner, !all.isEmpty else { return }
    var added: [CredentialPlace: [NewCredential]] = [:]
    for one in all {
      let place = CredentialPlace(provider: one.provider, settings: one.settings, by: places(one.provider))
      if let other = added[place]?.first(where: { $0.pair.isSame(as: one.pair) }) {
        throw VaultError(
          .invalidInput, "\(one.name) and \(other.name) have the same pair: each would end it for the other",
          hint: "keep one of them, and name each place that its pair goes to with `relatch sink add`")
      }
      added[place, default: []].append(one)
    }
    let (taken, new) = (Set(added.keys), Set(all.map(\.name)))
    let others = try await read { view in
      let all = try view.credentialRecords().credentials.filter { !$0.isTransferred && !new.contains($0.name) }
      let placed = all.map { ($0.name, $0.place(by: places($0.provider))) }.filter { taken.contains($0.1) }
      return Dictionary(uniqueKeysWithValues: placed)
    }
    guard !others.isEmpty else { return }
    let found = try await search(
      others.keys.sorted(), where: { $0.stage != .retired }, purpose: "comparison", now: now
    ) { pair in all.contains { $0.pair.isSame(as: pair) } }.found
    for theirs in found {
      guard let place = others[theirs.credential],
        let one = added[place]?.first(where: { $0.pair.isSame(as: theirs.pair) })
      else { continue }
      throw VaultError(
        .invalidInput,
        "\(one.name): its pair is that of \(theirs.credential), as version \(theirs.version.number), already:"
          + " each would end it for the other",
        hint: "use \(theirs.credential): `relatch sink add \(theirs.credential) …` delivers its pair to more places,"
          + " `relatch grant \(theirs.credential) …` opens it to more members")
    }
  }
}
