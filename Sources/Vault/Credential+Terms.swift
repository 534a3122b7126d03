import Audit
import JSON
import Sodium

// What owners alone say of a credential. Whoever rotates one writes its record; where its pairs are sent, under which key they
// are sealed, and who could open them before, is not theirs to change.
extension Credential {
  /// The digest of what owners alone say; it stands in the entry `keyed`.
  var termsDigest: JSONValue {
    let terms = JSONValue.object([
      "admin": .string(admin), "created": .string(created.description), "id": .string(id.description),
      "key": .string(keyID), "name": .string(name), "provider": .string(provider),
      "settings": .object(settings.mapValues { .string($0) }),
    ])
    return .string(SHA256.hash(terms.canonicalBytes).bytes.base64)
  }

  /// What the entry that binds its terms says besides.
  var termsFields: [String: JSONValue] {
    var fields = ["terms": termsDigest]
    if let exposure { fields["exposure"] = exposure.json }
    return fields
  }
}

extension VaultView {
  /// The credentials that were added before there were terms, and not re-keyed since: any member's word counts of them.
  package var credentialsWithoutTerms: [String] { known.membership.bounds.unbound.sorted() }

  /// Fails with `corrupt` unless the terms of `credential` are those that an owner gave it, and the newest such.
  func requireTerms(of credential: Credential) throws {
    let what = "the record of \(credential.name)"
    let bounds = known.membership.bounds
    guard let index = credential.keyed else {
      guard bounds.unbound.contains(credential.name), credential.exposure == nil else {
        throw VaultError(.corrupt, "\(what) names no entry of an owner's")
      }
      return
    }
    guard bounds.allowsTerms(of: credential.name, at: index) else {
      throw VaultError(
        .corrupt, "\(what) is an older one: an owner gave it another key, or removed it, since log entry \(index)")
    }
    let entry = try authenticatedEntry(at: index)
    guard [EventName.credentialAdded.text, EventName.credentialRekeyed.text].contains(entry.event),
      entry.details["credential"] == .string(credential.name), entry.details["terms"] == credential.termsDigest
    else { throw VaultError(.corrupt, "\(what) is not what log entry \(index) of an owner's says of it") }
    let exposure = try entry.details["exposure"].map { try Exposure($0) }
    // One that was handed over and is refused has no active version any more, but had.
    let newest = credential.version(in: .active)?.number ?? credential.transfer?.version ?? 0
    let isOver = exposure.map { $0.version < newest } ?? true
    guard credential.exposure == (isOver ? nil : exposure) else {
      throw VaultError(.corrupt, "\(what) says of who could open it other than log entry \(index)")
    }
  }
}
