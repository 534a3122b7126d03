import Audit
import JSON
import Vault

/// Who could open each credential of a vault, or read its pairs at the provider, and when.
struct LeakHolders: Sendable {
  private let history: AccessHistory
  private let accesses: [String: [AccessHistory.Access]]
  private let size: UInt64

  /// The time this takes grows with the log.
  init(in view: VaultView) throws {
    history = try AccessHistory(view)
    let own = history.accesses + history.exposures
    accesses = Dictionary(grouping: own + history.reached(by: own, in: view), by: \.credential)
    size = view.logSize
  }

  /// Everyone who could have a version that leaked, before it was seen to be refused, by name.
  func of(_ part: IncidentHistory.Part) -> [IncidentReport.Holder] {
    // The name may have belonged to another credential before, or may now.
    let addition = history.addition(of: part.credential, at: part.reported?.index ?? size)
    let holding = (accesses[part.credential] ?? []).filter { access in
      access.added == addition
        && part.leaked.contains { version in
          version <= access.newestVersion && part.refused[version].map { access.begin.index < $0.index } ?? true
        }
    }
    return Dictionary(grouping: holding, by: \.member).sorted { $0.key < $1.key }.map { name, accesses in
      // Anyone who was handed a pair knows it from then on.
      let last = accesses.max { $0.rank < $1.rank }
      return IncidentReport.Holder(
        name: name, until: last.flatMap { $0.isHandoff ? nil : $0.until }, through: last?.through)
    }
  }
}

extension AccessHistory.Access {
  /// The greatest is what is said of somebody: what lasts longest, and of these what needs no administrator.
  fileprivate var rank: (end: UInt64, needsNone: Int) {
    (isHandoff ? .max : end?.index ?? .max, through == nil ? 1 : 0)
  }
}

extension IncidentReport.Holder {
  var text: String {
    let words = [through.map { "through \($0)" }, until.map { "until \($0)" }].compactMap(\.self)
    return words.isEmpty ? name : "\(name) (\(words.joined(separator: ", ")))"
  }

  var json: JSONValue {
    var members: [String: JSONValue] = ["member": .string(name)]
    if let until { members["until"] = .string(until.description) }
    if let through { members["through"] = .string(through) }
    return .object(members)
  }
}
