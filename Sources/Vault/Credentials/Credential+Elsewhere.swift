import JSON

// Where a pair was made is where it must be seen to be refused. Settings can name another place: what was made at the
// former one is then unknown at the new one, and that looks like a refusal.
extension Credential {
  /// Notes that `versions` were made at a place that the settings no longer name.
  package mutating func noteElsewhere(_ versions: some Sequence<UInt64>) { elsewhere.formUnion(versions) }

  /// Notes that `versions` were seen at the place that the settings name.
  package mutating func noteHere(_ versions: some Sequence<UInt64>) { elsewhere.subtract(versions) }

  /// The versions that were given up at a former place, ascending: nobody saw that place refuse them.
  package var leftElsewhere: [UInt64] {
    versions.filter { $0.stage == .retired && elsewhere.contains($0.number) }.map(\.number)
  }

  /// The versions whose pairs may still be accepted: those that are not retired, ascending.
  package var livingVersions: [Version] { versions.filter { $0.stage != .retired } }

  /// Their numbers.
  package var living: [UInt64] { livingVersions.map(\.number) }

  static func elsewhere(_ members: inout JSONMembers, _ what: String) throws -> Set<UInt64> {
    guard let value = try members.optionalValue("elsewhere") else { return [] }
    guard case .array(let values) = value else { throw VaultError(.corrupt, "\(what): elsewhere is no array") }
    let numbers = try values.map { value in
      guard case .integer(let number) = value, let number = UInt64(exactly: number) else {
        throw VaultError(.corrupt, "\(what): a version elsewhere has no number")
      }
      return number
    }
    guard !numbers.isEmpty, zip(numbers, numbers.dropFirst()).allSatisfy({ $0 < $1 }) else {
      throw VaultError(.corrupt, "\(what): the versions elsewhere contradict each other")
    }
    return Set(numbers)
  }
}
