import Audit

extension Returned {
  /// Who and what is back in a vault whose log says `here`, when `seen` is what was known of a newer one.
  init(_ here: Membership, after seen: Membership) {
    self.init(
      members: here.members.filter { !seen.members.contains($0) },
      unknown: seen.members.filter { !here.members.contains($0) && $0.role != .auditor },
      witnesses: here.witnesses.map(\.witness).filter { witness in
        !seen.witnesses.contains { $0.witness == witness }
      }.map(\.name))
  }
}
