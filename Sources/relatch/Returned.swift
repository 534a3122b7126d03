import Audit

/// Who and what is back in an older copy of the vault, and what it does not know, as far as this user has seen the newer
/// one.
struct Returned {
  /// The members and witnesses that had been removed when the vault was last seen.
  var members: [LogMember] = []
  var witnesses: [String] = []
  /// The members who had joined by then and are not in the copy. Auditors open nothing, and are left out.
  var unknown: [LogMember] = []
  /// The credentials that had been handed over by then, and in the copy are not.
  var transferred: [String] = []

  /// Nothing and nobody.
  init() {}

  /// For a copy whose log says `here`, when `seen` is what was known of a newer one.
  init(_ here: Membership, after seen: Membership) {
    // Those who were added after a restore were added by an owner who knew of it.
    members = here.standings.filter { $0.entry < here.restored ?? .max && !seen.members.contains($0.card) }.map(\.card)
    unknown = seen.members.filter { !here.members.contains($0) && $0.role != .auditor }
    witnesses = here.witnesses.map(\.witness).filter { witness in
      !seen.witnesses.contains { $0.witness == witness }
    }.map(\.name)
    transferred = seen.bounds.transferred.filter { here.bounds.transferred[$0] != $1 }.keys.sorted()
  }

  /// The commands that remove them again.
  var removals: [String] {
    members.map { "`relatch member remove \($0.name)`" } + witnesses.map { "`relatch log witness remove \($0)`" }
  }

  var warnings: [String] {
    members.map { member in
      let opens =
        switch member.role {
        case .owner: ", an owner, who opens everything"
        case .operator: ", an operator, who opens what they had been granted by then"
        case .auditor: ", an auditor"
        }
      return
        "\(member.name) is a member again\(opens); they were not a member when the vault was last seen: before anything"
        + " is rotated, run `relatch member remove \(member.name)`"
    }
      + witnesses.map {
        "\($0) is a witness again, but was not one when the vault was last seen: `relatch log witness remove \($0)`"
      }
      + unknown.map {
        "\($0.name) was a member when the vault was last seen, and is not in this copy, nor is what they were granted:"
          + " `relatch revoke NAME… --reason TEXT` ends what they may know"
      }
      + transferred.map {
        "\($0) was handed over when the vault was last seen, and this copy does not know it: its recipient rotates it;"
          + " do not adopt it here: `relatch remove \($0) --forget-debts`, unless it was never opened"
      }
  }
}
