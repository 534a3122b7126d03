import Audit

/// Another administrator of the credential `name`, and what that means for it and for all that it administers, directly
/// or through others: whoever could open a former administrator and can open neither the credential nor one that
/// administers it from now on has lost it, and whoever knows the pair of a new one can read it.
struct AdministratorChange {
  private let name: String
  /// What administered it, and what will, nearest first.
  private let former: [String]
  private let next: [String]
  /// Those to whom one of the next is exposed.
  private let known: Set<String>
  /// What it administers, directly or through others, each with what is between them and itself.
  private let between: [String: [String]]
  /// The others that cannot be read: nobody knows whether it administers them.
  let unreadable: [String]

  init(of name: String, to admin: String, _ view: VaultView, _ history: AccessHistory) {
    self.name = name
    former = view.administrators(of: name)
    next = admin == name ? [] : [admin] + view.administrators(of: admin)
    known = view.exposed(by: next)
    guard !known.isEmpty || !former.flatMap(history.grantees).isEmpty else {
      (between, unreadable) = ([:], [])
      return
    }
    var between: [String: [String]] = [:]
    var unreadable: [String] = []
    for other in history.credentials where other != name {
      guard let admin = (try? view.credential(other, isKept: false))?.admin else {
        unreadable.append(other)
        continue
      }
      guard admin != other else { continue }
      let chain = [admin] + view.administrators(of: admin)
      if let place = chain.firstIndex(of: name) { between[other] = Array(chain[...place]) }
    }
    self.between = between
    self.unreadable = unreadable
  }

  /// The names of those of what it administers that are exposed by this, in order.
  func administered(_ history: AccessHistory) -> [String] {
    between.keys.sorted().filter { !exposed($0, history).isEmpty }
  }

  /// Notes in `credential`, which is it or is administered by it, whom this exposes it to.
  func expose(_ credential: inout Credential, _ change: VaultChange, _ history: AccessHistory) throws {
    for member in exposed(credential.name, history).sorted() {
      credential.expose(to: member, isStaging: try change.view.isStaging(credential), now: change.now)
    }
  }

  private func exposed(_ credential: String, _ history: AccessHistory) -> Set<String> {
    let staying = Set(([credential] + (between[credential] ?? []) + next).flatMap(history.grantees))
    return Set(former.flatMap(history.grantees)).subtracting(staying).union(known)
  }
}
