import JSON
import Providers
import Rotation
import Vault

/// The leaked versions of one credential: all up to `version`. Nil means up to the version whose leak is already noted,
/// otherwise up to the active one.
struct LeakedVersion: Hashable, Sendable {
  let credential: String
  let version: UInt64?
}

extension VaultView {
  /// What a leaked pair of `admin`, or of one of its administrators, reaches of `credential`, which `admin` administers
  /// or did until now; nil if no such pair leaked.
  func reach(to credential: Credential, from admin: String, isFormer: Bool) -> ReachedByLeak? {
    guard admin != credential.name,
      let leaked = ([admin] + administrators(of: admin)).first(where: { (try? self.credential($0))?.leak != nil })
    else { return nil }
    return ReachedByLeak(
      administrator: leaked, credentials: [credential.name], isStanding: true,
      isNoted: credential.reach?.by.contains(leaked) ?? false,
      version: credential.leak == nil ? nil : credential.version(in: .active)?.number, isFormer: isFormer)
  }
}

extension [LeakedVersion] {
  /// Notes on the credentials for which no version was named and whose noted leak does not include the active version.
  func continuedLeakNotes(in view: VaultView) -> [String] {
    filter { $0.version == nil }.compactMap { leaked in
      // What cannot be read fails in its own run.
      guard let credential = try? view.credential(leaked.credential), let leak = credential.leak,
        let active = credential.version(in: .active)?.number, active > leak.version
      else { return nil }
      return
        "\(leaked.credential): continuing with the leak of version \(leak.version); version \(active), which replaced it,"
        + " is not replaced; if it leaked, too, add --up-to \(active)"
    }
  }

  /// What these leaks reach besides themselves, once everything possible was done about them.
  func reach(in view: VaultView) throws -> [ReachedByLeak] {
    let chosen = Set(map(\.credential))
    var reached: [ReachedByLeak] = try compactMap { leaked in
      guard let credential = try? view.credential(leaked.credential), let reach = credential.reach,
        try !view.isReachOver(credential)
      else { return nil }
      return ReachedByLeak(
        administrator: reach.by.first { (try? view.credential($0))?.leak != nil } ?? reach.by[0],
        credentials: [leaked.credential], isStanding: true, isNoted: true)
    }
    var others: [String: [String]] = [:]
    for name in try view.names() where !chosen.contains(name) {
      for admin in view.administrators(of: name) where chosen.contains(admin) {
        others[admin, default: []].append(name)
      }
    }
    reached += compactMap { leaked in
      guard let credential = try? view.credential(leaked.credential), credential.isSelfAdministered,
        credential.provider != CommandProvider.descriptor.id
      else { return nil }
      return ReachedByLeak(administrator: credential.name, credentials: [credential.name], isStanding: false)
    }
    reached += others.sorted { $0.key < $1.key }.map { admin, names in
      ReachedByLeak(administrator: admin, credentials: names, isStanding: false)
    }
    return reached
  }
}

/// Credentials whose pairs can be read by anyone who has a leaked pair of their administrator.
struct ReachedByLeak: Sendable {
  let administrator: String
  let credentials: [String]
  /// Whether the administrator's leaked pair may still be accepted: then it reaches their new pairs, too.
  let isStanding: Bool
  /// Whether their records say so: then a run replaces them again when the leak has ended.
  var isNoted = false
  /// The version to name if a leak of theirs is already noted; otherwise nil.
  var version: UInt64?
  /// Whether the administrator no longer administers them.
  var isFormer = false

  private var command: String {
    "`relatch revoke \(credentials.joined(separator: " "))\(version.map { " --up-to \($0)" } ?? "") --reason TEXT`"
  }

  /// Whether the administrator is what it reaches.
  var isOfItself: Bool { credentials == [administrator] }

  /// In words for a person.
  var text: String {
    let names = credentials.joined(separator: ", ")
    guard isStanding else {
      return
        "\(administrator) administers \(names): anyone who had its pair could read theirs; to end these, too: \(command)"
    }
    return
      "\(names): its\(isFormer ? "" : " new") pair can be read by anyone who has the leaked pair of \(administrator), which"
      + " \(isFormer ? "administered" : "administers") it and has not been seen to be refused yet; once it has"
      + (isNoted ? ", the next run replaces it again" : ": \(command)")
  }

  var json: JSONValue {
    .object([
      "administrator": .string(administrator), "credentials": .array(credentials.map { .string($0) }),
      "standing": .bool(isStanding), "type": "reached",
    ])
  }
}

extension Report {
  /// Says what is reached. Of what its record notes, a run has said it, unless none was made.
  func tell(_ reached: [ReachedByLeak], afterRuns: Bool) throws {
    guard !isJSON else {
      for reached in reached { try result(reached.json, text: "") }
      return
    }
    for reached in reached where !reached.isOfItself && !(afterRuns && reached.isNoted) { note(reached.text) }
    let names = reached.filter(\.isOfItself).map(\.administrator).joined(separator: ", ")
    guard !names.isEmpty else { return }
    note(
      "administered by itself: \(names): where an administrator can read secrets, whoever had a leaked pair may have read the one"
        + " that replaced it; docs/leak.md says how to end that")
  }
}
