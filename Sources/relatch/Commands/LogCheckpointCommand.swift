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
