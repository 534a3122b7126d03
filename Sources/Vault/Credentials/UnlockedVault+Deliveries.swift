package import Audit
import JSON
import Storage

// Only owners may say where a pair goes, and what is run on the way.
extension UnlockedVault {
  /// Adds a sink or hook to a credential. Throws `notPermitted` unless the member is an owner; `alreadyExists`, also if
  /// a sink of any credential has the file or its template, or is made from the file; `invalidInput`, also if the file
  /// is its own template. `place` says which file a path leads to: all paths of one file have one place.
  package func addDelivery(
    _ settings: DeliverySettings, to name: String, now: Timestamp,
    place: @escaping @Sendable (_ path: String) -> String = { $0 }
  ) async throws -> Credential {
    try await change(now: now) { change in
      var credential = try change.view.credential(name)
      try credential.addDelivery(settings, entry: change.nextIndex)
      if case .file(let file) = settings.kind { try change.view.requireDistinctFiles(file, place) }
      return try change.save(
        credential, .deliveryAdded, ["delivery": settings.json])
    }
  }

  /// Removes a sink or hook, and returns it. What it delivered stays where it is. Throws `notPermitted`, `notFound`.
  package func removeDelivery(_ delivery: String, from name: String, now: Timestamp) async throws -> DeliveryRecord {
    try await change(now: now) { change in
      var credential = try change.view.credential(name)
      let removed = try credential.removeDelivery(delivery)
      try change.save(credential, .deliveryRemoved, ["delivery": .string(delivery)])
      return removed
    }
  }
}

extension VaultView {
  /// Throws `invalidInput` if `file` is its own template, and `alreadyExists` if a sink of any credential has the file
  /// or the template of `file`, or is made from the file: a pair would be written over another pair, or over a
  /// template's placeholders.
  fileprivate func requireDistinctFiles(_ file: FileSettings, _ place: (String) -> String) throws {
    let (wanted, source) = (place(file.path), file.template.map(place))
    guard wanted != source else {
      throw VaultError(
        .invalidInput,
        "\(Name.printable(file.path)) is its own template: the first pair would overwrite its placeholders",
        hint: "keep the template in a file of its own")
    }
    for name in try names() {
      // A damaged one is delivered nowhere.
      guard let credential = try? credential(name) else { continue }
      for delivery in credential.deliveries {
        guard case .file(let other) = delivery.settings.kind else { continue }
        let sink = "the sink \(delivery.name) of \(name)"
        let its = place(other.path)
        let found: String? =
          if its == wanted {
            "\(Name.printable(file.path)) is the file of \(sink) already: each pair would overwrite the other"
          } else if its == source {
            "the template \(Name.printable(file.template ?? "")) is the file of \(sink): a pair would overwrite its placeholders"
          } else if other.template.map(place) == wanted {
            "\(Name.printable(file.path)) is the template of \(sink): a pair would overwrite its placeholders"
          } else { nil }
        guard let found else { continue }
        throw VaultError(
          .alreadyExists, found,
          hint: "name another file; or first `relatch sink remove \(name) \(delivery.name)`")
      }
    }
  }

  /// Fails with `notPermitted` unless a present owner added each sink and hook of `credential` as it is.
  ///
  /// Any member who rotates a credential writes its record, but must not decide what is run, and where secrets go, on
  /// other people's hosts. Each is therefore compared with the owner's own log entry before it is used.
  package func requireDeliveriesAddedByOwners(of credential: Credential) throws {
    for delivery in credential.deliveries { try requireOwners(delivery, of: credential) }
  }

  /// The same for one of them.
  package func requireOwners(_ delivery: DeliveryRecord, of credential: Credential) throws {
    let what = "\(delivery.settings.word) \(delivery.name) of \(credential.name)"
    let entry = try authenticatedEntry(at: delivery.entry)
    guard entry.event == EventName.deliveryAdded.text, entry.says("credential", credential.name),
      // As bytes: strings that differ only in how Unicode composes them are different paths.
      entry.details["delivery"]?.canonicalBytes == delivery.settings.json.canonicalBytes
    else { throw VaultError(.corrupt, "the \(what) does not match log entry \(delivery.entry)") }
    guard members.contains(where: { $0.name == entry.member && $0.card.role == .owner && $0.entry <= delivery.entry })
    else {
      throw VaultError(
        .notPermitted, "the \(what) was added by \(entry.member), who is no longer an owner",
        hint: "ask an owner to check it and take it over: `relatch \(delivery.settings.word) remove \(credential.name)"
          + " \(delivery.name)`, then add it again")
    }
    // An older record does not bring a removed one back.
    guard known.membership.bounds.allowsDelivery(delivery.name, of: credential.name, at: delivery.entry) else {
      throw VaultError(.corrupt, "the \(what) was removed since log entry \(delivery.entry)")
    }
  }
}
