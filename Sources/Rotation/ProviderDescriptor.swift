/// What a kind of provider is, declared once: help, checks and documentation read it.
package struct ProviderDescriptor: Sendable {
  /// One setting of a credential of this kind.
  package struct Setting: Sendable {
    package let key: String
    package let help: String
    /// Whether a rotation needs it. A credential that is only used, never rotated, does without.
    package let isRequiredToRotate: Bool

    package init(_ key: String, _ help: String, isRequiredToRotate: Bool = false) {
      self.key = key
      self.help = help
      self.isRequiredToRotate = isRequiredToRotate
    }
  }

  /// As `--provider` takes it.
  package let id: String
  /// One sentence.
  package let summary: String
  package let settings: [Setting]

  package init(id: String, summary: String, settings: [Setting]) {
    self.id = id
    self.summary = summary
    self.settings = settings
  }

  /// Fails unless every key of `settings` is known.
  package func checkKeys(_ settings: [String: String]) throws(ProviderError) {
    let known = self.settings.map(\.key)
    if let stranger = settings.keys.filter({ !known.contains($0) }).min() {
      throw ProviderError(
        .configuration, "provider \(id) has no setting \"\(stranger)\"",
        hint: "its settings are \(known.joined(separator: ", "))")
    }
  }
}
