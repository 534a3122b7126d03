/// What a kind of provider is, declared once and read by help, checks and documentation.
package struct ProviderDescriptor: Sendable {
  /// One setting of a credential of this kind.
  package struct Setting: Sendable {
    package let key: String
    package let help: String
    /// Whether a rotation needs it. A credential that is only used and never rotated does not.
    package let isRequiredToRotate: Bool
    /// Whether it only says how a pair is used, proved or requested: whatever its value, it is the same pair. The others
    /// say where a pair is made.
    package let isOfUse: Bool

    package init(_ key: String, _ help: String, isRequiredToRotate: Bool = false, isOfUse: Bool = false) {
      self.key = key
      self.help = help
      self.isRequiredToRotate = isRequiredToRotate
      self.isOfUse = isOfUse
    }
  }

  /// A document of the provider's that its client was written from.
  package struct Document: Sendable {
    package let title: String
    package let address: String

    package init(_ title: String, _ address: String) {
      self.title = title
      self.address = address
    }
  }

  /// What happens to a pair there when it is replaced.
  package struct Life: Sendable {
    /// The ways in which a new pair can replace the old one there, the usual one first.
    package let replacements: [Replacement]
    /// How many secrets are accepted at once, at most; nil if the provider sets no limit that matters.
    package let secretsAtOnce: Int?
    /// Whether a new pair has a client identifier of its own; nil if that depends.
    package let changesClientID: Bool?
    /// Until when the old pair is accepted, as the end of a sentence.
    package let oldPair: String
    /// How long the provider takes to end a replaced pair itself; nil if it does not, or if that depends.
    package let oldPairEnds: Duration?
    /// What can be found out after a lost answer, and how.
    package let lostAnswer: String

    package init(
      _ replacements: [Replacement], secretsAtOnce: Int?, changesClientID: Bool?, oldPair: String,
      oldPairEnds: Duration? = nil, lostAnswer: String
    ) {
      self.oldPairEnds = oldPairEnds
      self.replacements = replacements
      self.secretsAtOnce = secretsAtOnce
      self.changesClientID = changesClientID
      self.oldPair = oldPair
      self.lostAnswer = lostAnswer
    }
  }

  /// As `--provider` takes it.
  package let id: String
  /// One sentence.
  package let summary: String
  package let settings: [Setting]
  package let life: Life
  /// Whose token drives a rotation, and which rights it may need.
  package let administrator: String
  /// The documents that its client was written from.
  package let documents: [Document]
  /// What a person does there by hand; nil if nobody is needed. If set, a schedule begins no rotation there.
  package let byHand: String?

  package init(
    id: String, summary: String, settings: [Setting], life: Life, administrator: String, documents: [Document],
    byHand: String? = nil
  ) {
    self.byHand = byHand
    self.id = id
    self.summary = summary
    self.settings = settings
    self.life = life
    self.administrator = administrator
    self.documents = documents
  }

  /// Fails unless every key of `settings` is known.
  package func checkKeys(_ settings: [String: String]) throws(ProviderError) {
    let known = self.settings.map(\.key)
    if let unknown = settings.keys.filter({ !known.contains($0) }).min() {
      throw ProviderError(
        .configuration, "provider \(id) has no setting \"\(unknown)\"",
        hint: "its settings are \(known.joined(separator: ", "))")
    }
  }

  /// Whether a credential with `settings` can be rotated, and not only used.
  package func canRotate(_ settings: [String: String]) -> Bool { missing(in: settings).isEmpty }

  /// The settings that a rotation needs and that `settings` lack, in their order.
  package func missing(in settings: [String: String]) -> [Setting] {
    self.settings.filter { $0.isRequiredToRotate && settings[$0.key] == nil }
  }

  /// What setting `key`, which a rotation needs, says. Throws `configuration` if it is nil: the setting is missing.
  package func needed<Value>(_ key: String, _ value: Value?) throws(ProviderError) -> Value {
    if let value { return value }
    let help = settings.first { $0.key == key }.map { " (\($0.help))" } ?? ""
    throw ProviderError(
      .configuration, Setting.missingText(key), hint: "set it: `relatch settings NAME \(key)=…`\(help)")
  }
}

extension ProviderDescriptor.Setting {
  /// What is said where a rotation needs the setting `key` and does not have it.
  package static func missingText(_ key: String) -> String { "setting \(key) is missing: there is nothing to rotate" }
}
