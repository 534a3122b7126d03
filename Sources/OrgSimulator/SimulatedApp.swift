package import FoundationEssentials

/// An External Client App: one or more consumers, and the user on whose behalf it acts.
package struct SimulatedApp: Codable, Sendable, Equatable {
  /// `0xI…`, 18 characters; requests may use the first 15.
  package let identifier: String
  package let developerName: String
  /// Whether its Run-As user holds "External Client App Developer" and "View Client Secret".
  package let isAdmin: Bool
  package let runAsUserID: String
  package let runAsUsername: String
  package var conditions = AppConditions()
  package var consumers: [SimulatedConsumer]
}

/// A consumer of an app: the pair in use, and one slot for a staged or a replaced one.
package struct SimulatedConsumer: Codable, Sendable, Equatable {
  /// `888…`, 18 characters; requests may use the first 15.
  package var id: String
  package let name: String
  /// Nil only after a client has destroyed it.
  package var primary: IssuedPair?
  package var slot: StagedSet?
  /// Deleted pairs that are still accepted for a while.
  package var lingering: [LingeringPair] = []
  /// The id under which the present primary was staged, if that id still names it.
  package var formerStagedID: String?
}

/// A `key` (client_id) and `secret` as the org issued them, and what the token endpoint knows about them.
package struct IssuedPair: Codable, Sendable, Equatable {
  package let key: String
  package let secret: String
  /// Refused as unknown before this time.
  package var acceptedFrom: Date
  /// Token requests still to be refused as unknown.
  package var refusalsLeft: Int
  /// Never accepted by the token endpoint, whatever the secret.
  package var isPoisoned = false

  mutating func useUpRefusal() { refusalsLeft = max(0, refusalsLeft - 1) }
}

/// The pair in a consumer's slot.
package struct StagedSet: Codable, Sendable, Equatable {
  package enum State: String, Codable, Sendable { case active = "Active", rotated = "Rotated", expired = "Expired" }

  package var id: String
  package var pair: IssuedPair
  package var state: State
  package var createdBy: String
  package var createdDate: Date
  package var expirationDate: Date
}

/// A deleted pair that the token endpoint does not know is deleted yet.
package struct LingeringPair: Codable, Sendable, Equatable {
  package let pair: IssuedPair
  package let until: Date
}
