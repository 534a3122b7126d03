import Audit
import JSON
import Sodium

// What only owners say of a credential. A member who rotates it writes its record, but must not change where its pairs
// are sent, under which key they are sealed, or who could open them before.
extension Credential {
  /// What an owner's entry has instead of `termsDigest` when it takes back every record so far: no record has it.
  static let noTerms = ""

  /// The digest of what only owners say; the entry `keyed` has it in base64.
  var termsDigest: String {
    var terms = CanonicalWriter(capacity: 512)
    terms.add("admin", admin)
    terms.add("created", created.description)
    terms.add("id", id.description)
    terms.add("key", keyID)
    terms.add("name", name)
    terms.add("provider", provider)
    terms.add("settings", settings)
    terms.end()
    return SHA256.hash(terms.bytes).base64
  }

  /// What the entry that binds its terms says in addition.
  var termsFields: [String: JSONValue] {
    var fields: [String: JSONValue] = ["terms": .string(termsDigest)]
    if let exposure { fields["exposure"] = exposure.json }
    return fields
  }
}

extension VaultView {
  /// The credentials that were added before there were terms, and not re-keyed since: for these, any member's word
  /// counts.
  package var credentialsWithoutTerms: [String] { known.membership.bounds.unbound.sorted() }

  /// Fails with `corrupt` unless the terms of `credential` are the newest that an owner gave it.
  func requireTerms(of credential: Credential) throws {
    let what = "the record of \(credential.name)"
    let bounds = known.membership.bounds
    guard let index = credential.keyed else {
      guard bounds.unbound.contains(credential.name), credential.exposure == nil else {
        throw VaultError(.corrupt, "\(what) names no owner's log entry")
      }
      return
    }
    guard bounds.allowsTerms(of: credential.name, at: index) else {
      if let bound = bounds.rekeyed[credential.name], bound > index,
        try authenticatedEntry(at: bound).says("terms", Credential.noTerms)
      {
        throw VaultError(withheld: credential.name)
      }
      throw VaultError(
        .corrupt, "\(what) is out of date: since log entry \(index) an owner gave it another key, or removed it")
    }
    let bytes = try authenticatedBytes(at: index)
    let digest = credential.termsDigest
    if credential.exposure == nil, let head = EntryHead(of: bytes.span), !head.hasExposure {
      // Almost all entries have this form.
      guard let name = head.credential, let terms = head.terms,
        bytes.span.equals(EventName.credentialAdded.text, at: head.event)
          || bytes.span.equals(EventName.credentialRekeyed.text, at: head.event),
        bytes.span.equals(credential.name, at: name), bytes.span.equals(digest, at: terms)
      else { throw VaultError(.corrupt, "\(what) does not match log entry \(index), which is an owner's") }
      return
    }
    let entry = try authenticatedEntry(at: index)
    guard [EventName.credentialAdded.text, EventName.credentialRekeyed.text].contains(entry.event),
      entry.says("credential", credential.name), entry.says("terms", digest)
    else { throw VaultError(.corrupt, "\(what) does not match log entry \(index), which is an owner's") }
    let exposure = try entry.details["exposure"].map { try Exposure($0) }
    // One that was handed over and is refused no longer has an active version, but had one.
    let newest = credential.version(in: .active)?.number ?? credential.transfer?.version ?? 0
    let isOver = exposure.map { $0.version < newest } ?? true
    guard credential.exposure == (isOver ? nil : exposure) else {
      throw VaultError(.corrupt, "\(what) does not match log entry \(index) in who could open it")
    }
  }
}

extension VaultError {
  /// For a record that was put back after an owner's entry took back all earlier ones (`VaultChange.withhold`).
  init(withheld name: String) {
    self.init(
      .corrupt,
      "the record of \(name) was damaged when the keys were changed, and has its old key: it is not used again",
      hint: "`relatch remove \(name) --forget-debts`, `relatch add` it with a pair from its provider, and rotate it")
  }
}
