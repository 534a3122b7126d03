package import JSON
package import Rotation

// The texts about a kind of provider, all made from its descriptor.
extension ProviderDescriptor {
  /// The facts about it, as questions and answers.
  package var facts: [(question: String, answer: String)] {
    [
      ("replacement", life.replacements.map(\.meaning).joined(separator: "; or, ")),
      ("secrets at once", life.secretsAtOnce.map(String.init) ?? "many"),
      ("client identifier", clientIdentifier),
      ("the old pair", "is accepted \(life.oldPair)"),
      ("a lost answer", life.lostAnswer),
      ("administrator", administrator),
    ] + (byHand.map { [("by hand", $0)] } ?? [])
  }

  private var clientIdentifier: String {
    let usual: String
    switch life.changesClientID {
    case false?: return "stays the same"
    case true?: usual = "changes with each pair"
    case nil: usual = "depends on the system"
    }
    return life.replacements.contains(.cutOver) ? "\(usual); with cut-over it stays the same" : usual
  }

  /// What `setting` is for, and whether a rotation needs it.
  package func marked(_ setting: Setting) -> String {
    setting.help + (setting.isRequiredToRotate ? " (needed to rotate)" : "")
  }

  /// Its settings for `add --help`, with those that a rotation does not need in brackets.
  package var settingsText: String {
    settings.map { $0.isRequiredToRotate ? $0.key : "[\($0.key)]" }.joined(separator: " ")
  }

  /// The generated part of its page, docs/providers/ID.md.
  package var page: String {
    var lines = ["# \(id)", "", "\(summary).", "", "| | |", "|---|---|"]
    lines += facts.map { "| \($0.question) | \($0.answer) |" }
    lines += ["", "| setting | |", "|---|---|"]
    lines += settings.map { "| `\($0.key)` | \(marked($0)) |" }
    lines += ["", "Written by:"] + documents.map { "[\($0.title)](\($0.address))" }.map { "- \($0)" }
    return lines.joined(separator: "\n") + "\n"
  }

  package var json: JSONValue {
    var members: [String: JSONValue] = [
      "administrator": .string(administrator),
      "documents": .array(documents.map { .object(["address": .string($0.address), "title": .string($0.title)]) }),
      "lost_answer": .string(life.lostAnswer), "old_pair": .string(life.oldPair), "provider": .string(id),
      "replacements": .array(life.replacements.map { .string($0.rawValue) }),
      "settings": .array(
        settings.map {
          .object(["help": .string($0.help), "key": .string($0.key), "needed_to_rotate": .bool($0.isRequiredToRotate)])
        }), "summary": .string(summary), "type": "provider",
    ]
    if let byHand { members["by_hand"] = .string(byHand) }
    // Where a setting chooses cut-over, it chooses this, too.
    if let changes = life.changesClientID, !changes || !life.replacements.contains(.cutOver) {
      members["changes_client_id"] = .bool(changes)
    }
    if let count = life.secretsAtOnce { members["secrets_at_once"] = .integer(count) }
    return .object(members)
  }
}

extension Replacement {
  fileprivate var meaning: String {
    switch self {
    case .promotion: "promotion: a new pair is staged, tried, and then made primary there"
    case .overlap: "overlap: old and new are accepted alike until the old one is deleted"
    case .cutOver: "cut-over: the old pair ends the moment the new one is made"
    }
  }
}

/// The descriptors of all kinds of providers, in the order of the registry.
package var providerDescriptors: [ProviderDescriptor] { providerKinds.map { $0.descriptor } }
