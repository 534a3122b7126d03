import ArgumentParser
import Audit
import JSON
import Vault

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
