import Audit
import JSON
import Vault

extension LogEntry {
  /// The entry as it is hashed. For a terminal, what that would hide or obey is escaped: any member chooses words of an
  /// entry.
  var exactText: String {
    let text = String(decoding: bytes, as: UTF8.self)
    guard StandardStream.output.isTerminal, let value = try? JSONValue(readingCanonical: bytes) else { return text }
    return value.line
  }
}

/// A log entry in the formats of other people's collectors. Nothing here is secret, as nothing in the log is.
struct ExportedEntry: Sendable {
  let entry: LogEntry
  let index: UInt64
  /// The vault's identifier.
  let vault: String

  func line(_ format: LogExportCommand.Format) -> String {
    switch format {
    case .jsonl: entry.exactText
    case .cef: cef
    case .ocsf: ocsf.line
    case .rfc5424: syslog
    }
  }

  private var credential: String? {
    if case .string(let name)? = entry.details["credential"] { return name }
    return nil
  }

  /// A fault, and a change in somebody's access, ranks above a step that went well.
  private var severity: Severity {
    let event = entry.event
    if event.hasSuffix(".lost") || event.hasSuffix(".rejected") || event == EventName.deliveryFailed.text
      || event == EventName.rollbackAccepted.text
    {
      return .warning
    }
    let isOfPeople = ["member.", "grant.", "vault.", "pair.", "credential."].contains { event.hasPrefix($0) }
    return isOfPeople ? .notice : .informational
  }

  /// The entry's own members in order, without digests and the credential.
  private var details: [(name: String, value: String)] {
    entry.details.filter { !["record", "terms", "credential"].contains($0.key) }.sorted { $0.key < $1.key }.map {
      if case .string(let text) = $0.value { return ($0.key, text) }
      return ($0.key, $0.value.canonicalText)
    }
  }

  // MARK: - ArcSight Common Event Format, revision 25

  private var cef: String {
    func header(_ text: String) -> String { Diagnostics.printable(text).escaped(["\\": "\\\\", "|": "\\|"]) }
    func value(_ text: String) -> String { Diagnostics.printable(text).escaped(["\\": "\\\\", "=": "\\="]) }
    let weight = severity == .warning ? 7 : severity == .notice ? 5 : 3
    var extensions = [
      "rt=\(entry.time.milliseconds)", "suser=\(value(entry.member))", "externalId=\(index)", "cs1Label=vault",
      "cs1=\(vault)",
    ]
    if let credential { extensions += ["cs2Label=credential", "cs2=\(value(credential))"] }
    let words = details.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
    if !words.isEmpty { extensions.append("msg=\(value(words))") }
    return
      "CEF:0|Relatch|relatch|\(Relatch.version)|\(header(entry.event))|\(header(entry.event))|\(weight)|"
      + extensions.joined(separator: " ")
  }

  // MARK: - Open Cybersecurity Schema Framework 1.3, class Entity Management

  private var ocsf: JSONValue {
    let activity: (id: Int, name: String)
    switch entry.event {
    case EventName.vaultCreated.text, "member.added", "grant.added", "credential.added", "delivery.added",
      "rotation.staged":
      activity = (1, "Create")
    case EventName.pairRead.text, EventName.pairUsed.text: activity = (2, "Read")
    case "member.removed", "grant.removed", "credential.removed", "delivery.removed", "rotation.deleted":
      activity = (4, "Delete")
    default: activity = (3, "Update")
    }
    let weight: (id: Int, name: String) =
      severity == .warning ? (3, "Medium") : severity == .notice ? (2, "Low") : (1, "Informational")
    let entity: JSONValue =
      credential.map { .object(["name": .string($0), "type": "credential"]) }
      ?? .object(["name": .string(vault), "type": "vault"])
    return .object([
      "activity_id": .integer(activity.id), "activity_name": .string(activity.name),
      "actor": .object(["user": .object(["name": .string(entry.member)])]),
      "category_name": "Identity & Access Management",
      "category_uid": 3, "class_name": "Entity Management", "class_uid": 3004, "entity": entity,
      "message": .string(entry.event),
      "metadata": .object([
        "event_code": .string(entry.event), "log_name": .string("relatch/\(vault)"),
        "product": .object([
          "name": "relatch", "vendor_name": "Relatch", "version": .string(Relatch.version),
        ]), "sequence": .integer(Int(clamping: index)), "uid": .string("\(vault)/\(index)"), "version": "1.3.0",
      ]),
      "raw_data": .string(String(decoding: entry.bytes, as: UTF8.self)), "severity": .string(weight.name),
      "severity_id": .integer(weight.id), "time": .integer(Int(entry.time.milliseconds)),
      "type_uid": .integer(300_400 + activity.id), "unmapped": .object(entry.details),
    ])
  }

  // MARK: - RFC 5424

  private var syslog: String {
    func quoted(_ text: String) -> String {
      Diagnostics.printable(text).escaped(["\"": "\\\"", "\\": "\\\\", "]": "\\]"])
    }
    var parameters = [("vault", vault), ("entry", "\(index)"), ("member", entry.member)]
    if let credential { parameters.append(("credential", credential)) }
    parameters += details.map { ($0.name, $0.value) }
    // A collector may take the last of two parameters with one name, and any member chooses names. So a later one gets
    // another name.
    var taken: Set<String> = []
    let data = parameters.map { name, value in
      var free = Self.parameterName(name)
      var number = 2
      while !taken.insert(free).inserted {
        free = Self.parameterName("x\(number)-\(name)")
        number += 1
      }
      return " \(free)=\"\(quoted(value))\""
    }.joined()
    // authpriv, as for the messages of a run; 32473 is the number reserved for documentation (RFC 5612).
    return "<\(10 * 8 + severity.rawValue)>1 \(entry.time) - relatch - \(entry.event.prefix(32)) [relatch@32473\(data)]"
  }

  /// A PARAM-NAME (RFC 5424, §6.3.3) for `name`, which any member of the vault may choose: 1 to 32 printable characters
  /// of ASCII other than a space, `=`, `]` and `"`. Every other character becomes `_`.
  private static func parameterName(_ name: String) -> String {
    let characters = name.unicodeScalars.prefix(32).map { scalar -> Character in
      (33...126).contains(scalar.value) && !"=]\"".unicodeScalars.contains(scalar) ? Character(scalar) : "_"
    }
    return characters.isEmpty ? "_" : String(characters)
  }
}
