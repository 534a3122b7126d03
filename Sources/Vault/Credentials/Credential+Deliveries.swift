package import Audit
import JSON

extension Credential {
  /// The sinks and hooks at which the active version has not arrived: files first, then hooks, each in the order of
  /// adding. None if the credential was handed over: its pair is delivered where it went.
  package var undelivered: [DeliveryRecord] {
    guard !isTransferred, let active = version(in: .active)?.number else { return [] }
    return receivers.filter { $0.delivered != active }
  }

  /// All that take a promoted pair: files first, so that a hook finds them written.
  package var receivers: [DeliveryRecord] {
    let takers = deliveries.filter(\.settings.takesPair)
    return takers.filter(\.isFile) + takers.filter { !$0.isFile }
  }

  /// The hooks of an occasion, in the order of adding.
  package func hooks(on occasion: HookSettings.Occasion) -> [DeliveryRecord] {
    deliveries.filter { delivery in
      guard case .hook(let hook) = delivery.settings.kind else { return false }
      return hook.occasion == occasion
    }
  }

  /// Notes that `delivery` is about to be tried. Returns false and changes nothing if it was removed meanwhile, or
  /// replaced by another of its name.
  package mutating func noteAttempt(at delivery: DeliveryRecord, now: Timestamp) -> Bool {
    guard let index = index(of: delivery) else { return false }
    deliveries[index].noteAttempt(now: now)
    return true
  }

  /// Forgets what arrived where: everything that takes pairs lacks the active one until its arrival is noted again.
  package mutating func forgetDelivered() {
    for index in deliveries.indices where deliveries[index].settings.takesPair { deliveries[index].forgetDelivered() }
  }

  /// Notes that `version` arrived at `delivery`; returns false as above.
  package mutating func noteDelivered(_ version: UInt64, to delivery: DeliveryRecord) -> Bool {
    guard let index = index(of: delivery) else { return false }
    deliveries[index].noteDelivered(version)
    return true
  }

  private func index(of delivery: DeliveryRecord) -> Int? {
    deliveries.firstIndex { $0.entry == delivery.entry && $0.name == delivery.name }
  }

  /// Throws `alreadyExists`, or `invalidInput` if there are too many.
  mutating func addDelivery(_ settings: DeliverySettings, entry: UInt64) throws(VaultError) {
    try settings.check()
    guard !deliveries.contains(where: { $0.name == settings.name }) else {
      throw VaultError(
        .alreadyExists, "\(name) has a sink or hook \(settings.name) already",
        hint: "--name gives this one another name")
    }
    guard deliveries.count < DeliveryRecord.maximumCount else {
      throw VaultError(.invalidInput, "\(name) has \(deliveries.count) sinks and hooks, which is the most there may be")
    }
    deliveries.append(DeliveryRecord(settings, entry: entry))
  }

  /// Throws `notFound`.
  mutating func removeDelivery(_ delivery: String) throws(VaultError) -> DeliveryRecord {
    guard let index = deliveries.firstIndex(where: { $0.name == delivery }) else {
      throw VaultError(
        .notFound, "\(name) has no sink or hook \(Name.printable(delivery))",
        hint: "`relatch sink list \(name)` and `relatch hook list \(name)` show those it has")
    }
    return deliveries.remove(at: index)
  }

  /// Reads the optional member `deliveries`: absent when empty, so that a record has one text.
  static func deliveries(_ members: inout JSONMembers, _ what: String) throws -> [DeliveryRecord] {
    guard let values = try members.optionalArray("deliveries") else { return [] }
    let deliveries = try values.map { try DeliveryRecord($0) }
    guard (1...DeliveryRecord.maximumCount).contains(deliveries.count),
      Set(deliveries.map(\.name)).count == deliveries.count
    else { throw VaultError(.corrupt, "\(what): its deliveries contradict each other") }
    return deliveries
  }
}

extension DeliveryRecord {
  package var isFile: Bool {
    if case .file = settings.kind { true } else { false }
  }
}
