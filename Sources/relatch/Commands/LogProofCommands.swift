import ArgumentParser
import Audit
import JSON
import Sodium
import Vault

struct LogCheckpointCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint", abstract: "Print the newest signed checkpoint, a C2SP signed note.",
    discussion: """
      Keep it where nobody who writes to the vault can change it. `relatch log verify --checkpoint FILE` then detects \
      every later change to what was in the log, and so do other people's verifiers of signed notes.
      """)

  @OptionGroup var options: CommonOptions

  @Option(
    name: .shortAndLong, help: ArgumentHelp("Write it to this file; it must not exist.", valueName: "file"),
    completion: .file())
  var output: String?

  @Flag(help: "Print the newest one that a witness has signed, with its cosignatures, instead of the newest of all.")
  var cosigned = false

  func run() async throws {
    let place = try OutputPlace(output, nil, verb: "log checkpoint -o FILE")
    let places = try Places(options)
    let vault = try await places.openLocked()
    let (cosigned, records) = (cosigned, try await vault.found(in: places.witnessRecords))
    let newest = try await vault.read { try $0.checkpoint(cosigned: cosigned, by: records) }
    let checkpoint = newest.signed.checkpoint
    let report = Report(options)
    var object: [String: JSONValue] = [
      "key": .string(newest.key.description), "member": .string(newest.member), "origin": .string(checkpoint.origin),
      "root": .string(checkpoint.root.bytes.base64), "size": .integer(Int(clamping: checkpoint.size)),
      "type": "checkpoint",
    ]
    if let output {
      try place.write(newest.signed.bytes)
      object["file"] = .string(output)
      try report.confirmation(
        .object(object), text: "\(output): \(checkpoint.size) entries, signed by \(newest.member)")
    } else if report.isJSON {
      object["note"] = .string(String(decoding: newest.signed.bytes, as: UTF8.self))
      try report.text(JSONValue.object(object).line)
    } else {
      try StandardStream.output.write(newest.signed.bytes.span.bytes)
      report.note("signed by \(newest.member): \(newest.key)")
    }
  }
}

struct LogProveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prove", abstract: "Print the proof that one entry is in the log, a C2SP tlog-proof.",
    discussion: """
      The proof contains the newest checkpoint but not the entry, which --text writes exactly as it is hashed. With \
      both, and the signer's key, anyone can verify offline that the entry is in the log. Nothing else of the log is \
      revealed.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The entry's number, as `relatch log list` prints it; from 0.")
  var entry: UInt64

  @Option(
    name: .shortAndLong, help: ArgumentHelp("Write the proof to this file; it must not exist.", valueName: "file")
  )
  var output: String?

  @Option(
    help: ArgumentHelp(
      "Write the entry itself, without a newline, to this file; it must not exist.", valueName: "file"),
    completion: .file())
  var text: String?

  func run() async throws {
    let index = entry
    let place = try OutputPlace(output, nil, verb: "log prove ENTRY -o FILE")
    guard text == nil || text != output else {
      throw Failure(
        .usage, "the proof and the entry cannot go to the same file", hint: "give -o and --text different files")
    }
    let textPlace = try text.map { try OutputPlace($0, nil, verb: "log prove ENTRY --text FILE") }
    let (proved, newest) = try await Places(options).openLocked().read { view in
      guard index < view.logSize else {
        throw Failure(
          .notFound, "the log has entries 0 to \(view.logSize - 1), and no entry \(index)",
          hint: "`relatch log list` prints each entry with its number")
      }
      return (try view.proof(ofEntry: index), try view.newestCheckpoint)
    }
    let report = Report(options)
    try textPlace?.write(proved.entry.bytes)
    if output != nil { try place.write(proved.proof.bytes) }
    if report.isJSON {
      var object: [String: JSONValue] = [
        "entry": .integer(Int(clamping: index)), "key": .string(newest.key.description),
        "member": .string(newest.member),
        "proof": .string(String(decoding: proved.proof.bytes, as: UTF8.self)),
        "size": .integer(Int(clamping: newest.signed.checkpoint.size)),
        "text": .string(String(decoding: proved.entry.bytes, as: UTF8.self)), "type": "proof",
      ]
      if let output { object["file"] = .string(output) }
      return try report.text(JSONValue.object(object).line)
    }
    if output == nil { try StandardStream.output.write(proved.proof.bytes.span.bytes) }
    report.note("signed by \(newest.member): \(newest.key)")
  }
}

extension VaultView {
  /// The newest checkpoint or, with `cosigned`, the newest that a witness has signed; in both cases with the
  /// cosignatures that witnesses gave of it. Throws `notFound`.
  fileprivate func checkpoint(
    cosigned: Bool, by records: WitnessRecords.Found
  ) throws -> (signed: SignedCheckpoint, member: String, key: NoteKey) {
    var newest = try newestCheckpoint
    let seen = try standings(of: records).filter { $0.cosigned != nil }.compactMap(\.seen)
    if cosigned {
      guard let last = seen.max(by: { $0.checkpoint.size < $1.checkpoint.size }) else {
        throw VaultError(
          .notFound, "no witness has signed a checkpoint of this log yet",
          hint: "`relatch log witness submit` hands one to the witnesses; `relatch log witness add` adds a witness")
      }
      guard let (member, key) = try signer(of: last) else {
        throw VaultError(.notFound, "the newest cosigned checkpoint was signed by somebody who is no longer a member")
      }
      newest = (last, member, key)
    }
    newest.signed = newest.signed.adding(signaturesOf: seen)
    return newest
  }

  private func signer(of signed: SignedCheckpoint) throws -> (member: String, key: NoteKey)? {
    for member in members {
      let key = try NoteKey(name: signed.checkpoint.origin, key: member.card.signing)
      if signed.note.isSigned(by: key) {
        try signed.note.verify(by: key)
        return (member.name, key)
      }
    }
    return nil
  }
}
