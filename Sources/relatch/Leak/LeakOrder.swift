import JSON
import Rotation
import Vault

/// The versions of one credential that leaked, up to this one; nil for up to the active one.
struct LeakedVersion: Hashable, Sendable {
  let credential: String
  let version: UInt64?
}

extension VaultView {
  /// The credentials that administer `name`, the nearest first, itself left out. What cannot be read ends the chain.
  func administrators(of name: String) -> [String] {
    var chain: [String] = []
    var next = name
    while let admin = (try? credential(next))?.admin, admin != name, !chain.contains(admin) {
      chain.append(admin)
      next = admin
    }
    return chain
  }
}

extension VaultView {
  /// What the leaked pair of `admin`, or of one that administers it, reaches of `credential`, which it administers or did until now;
  /// nil if there is none.
  func reach(to credential: Credential, from admin: String, isFormer: Bool) -> ReachedByLeak? {
    guard admin != credential.name,
      let leaked = ([admin] + administrators(of: admin)).first(where: { (try? self.credential($0))?.leak != nil })
    else { return nil }
    return ReachedByLeak(
      administrator: leaked, credentials: [credential.name], isStanding: true,
      version: credential.leak == nil ? nil : credential.version(in: .active)?.number, isFormer: isFormer)
  }
}

extension [LeakedVersion] {
  /// Who administers others goes before them, however long the chain: whoever has an administrator's pair can read theirs, and the
  /// new ones as well.
  func waves(in view: VaultView) -> [[LeakedVersion]] {
    let chosen = Set(map(\.credential))
    let chains = map { leaked in view.administrators(of: leaked.credential).filter(chosen.contains) }
    let administering = Set(chains.joined())
    let depths = Dictionary(grouping: zip(self, chains), by: \.1.count)
    return depths.sorted { $0.key < $1.key }.map { _, leaks in
      let leaks = leaks.map(\.0)
      return leaks.filter { administering.contains($0.credential) }
        + leaks.filter { !administering.contains($0.credential) }
    }
  }

  /// What no version was named of, and a leak is noted already that the active one is not part of.
  func goneOnWith(in view: VaultView) -> [String] {
    filter { $0.version == nil }.compactMap { leaked in
      // What cannot be read is for its own run to fail.
      guard let credential = try? view.credential(leaked.credential), let leak = credential.leak,
        let active = credential.version(in: .active)?.number, active > leak.version
      else { return nil }
      return
        "\(leaked.credential): gone on with the leak of version \(leak.version); version \(active), which replaced it,"
        + " is not replaced: if that leaked, too, add --up-to \(active)"
    }
  }

  /// What these leaks reach beside themselves, once all was done about them that could be.
  func reach(in view: VaultView) throws -> [ReachedByLeak] {
    let chosen = Set(map(\.credential))
    var reached: [ReachedByLeak] = compactMap { leaked in
      guard
        let admin = view.administrators(of: leaked.credential).first(where: { (try? view.credential($0))?.leak != nil }
        ),
        let credential = try? view.credential(leaked.credential)
      else { return nil }
      let active = credential.version(in: .active)?.number ?? 0
      return ReachedByLeak(
        administrator: admin, credentials: [leaked.credential], isStanding: true,
        version: credential.leak == nil ? nil : active)
    }
    var others: [String: [String]] = [:]
    for name in try view.names() where !chosen.contains(name) {
      for admin in view.administrators(of: name) where chosen.contains(admin) {
        others[admin, default: []].append(name)
      }
    }
    reached += others.sorted { $0.key < $1.key }.map { admin, names in
      ReachedByLeak(administrator: admin, credentials: names, isStanding: false, version: nil)
    }
    return reached
  }
}

/// Credentials whose pairs could be read by whoever has a leaked one of their administrator.
struct ReachedByLeak: Sendable {
  let administrator: String
  let credentials: [String]
  /// Whether the administrator's leaked pair may be accepted still: then a new pair of theirs is reached, too.
  let isStanding: Bool
  /// What to name where a leak of theirs is noted already.
  let version: UInt64?
  /// Whether the administrator is theirs no more.
  var isFormer = false

  private var command: String {
    "`relatch revoke \(credentials.joined(separator: " "))\(version.map { " --up-to \($0)" } ?? "")`"
  }

  var text: String {
    let names = credentials.joined(separator: ", ")
    return isStanding
      ? "\(names): \(isFormer ? "its" : "its new") pair can be read by whoever has the leaked one of \(administrator), which"
        + " \(isFormer ? "administered" : "administers") it and is not seen to be refused yet; once it is: \(command)"
      : "\(administrator) administers \(names): whoever had its pair could read theirs; to end these, too: \(command)"
  }

  var json: JSONValue {
    .object([
      "administrator": .string(administrator), "credentials": .array(credentials.map { .string($0) }),
      "standing": .bool(isStanding), "type": "reached",
    ])
  }
}
