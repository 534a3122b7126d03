import ArgumentParser
import Audit
import JSON
import Vault

/// The witnesses that a verifier trusts, whatever witnesses the vault names.
struct TrustedWitnesses: ParsableArguments {
  @Option(
    name: .customLong("witness"),
    help: ArgumentHelp("The key of a witness that must have signed this log; repeatable.", valueName: "vkey"))
  var witnesses: [String] = []

  @Option(help: ArgumentHelp("How many of them must have signed (default: all).", valueName: "n"))
  var requireWitness: Int?

  /// What a trusted witness said of the log.
  struct Voucher: Sendable {
    let key: WitnessKey
    let size: UInt64
    let statement: Cosignature
    /// How many entries were added after that.
    let unseen: UInt64

    var json: JSONValue {
      .object([
        "cosigned": .string(statement.moment.description), "key": .string(key.description),
        "size": .integer(Int(clamping: size)), "unseen": .integer(Int(clamping: unseen)),
      ])
    }

    var text: String {
      "by \(key.name): \(size) entries at \(statement.moment)" + (unseen > 0 ? ", and not the last \(unseen)" : "")
    }
  }

  /// The keys that were given. Throws `usage` for one that is not a witness's key, or if more are required than were
  /// given.
  func keys() throws -> [WitnessKey] {
    if let requireWitness, !(0...witnesses.count).contains(requireWitness) {
      throw Failure(
        .usage,
        witnesses.isEmpty
          ? "--require-witness \(requireWitness): no --witness is given"
          : "--require-witness \(requireWitness): expected 0 to \(witnesses.count), the number of --witness options",
        hint: "give the key of each witness with --witness")
    }
    return try witnesses.map { text in
      do { return try WitnessKey(text) } catch {
        throw Failure(.usage, "--witness: \(error)", hint: "give the key as the witness publishes it")
      }
    }
  }

  /// What the witnesses with `keys` said of the log in `checkpoints`, all of which the log was seen to extend; it has
  /// `entries` entries. Throws `corruptData` unless enough of them did, and for a cosignature that is not valid or has
  /// a time yet to come.
  func require(
    _ keys: [WitnessKey], among checkpoints: [SignedCheckpoint], of entries: UInt64, now: Timestamp
  ) throws -> [Voucher] {
    var vouchers: [Voucher] = []
    for key in Set(keys).sorted(by: { $0.description < $1.description }) {
      var newest: Voucher?
      for signed in checkpoints {
        // A cosignature of no entries would vouch for every log, and so for none.
        guard signed.checkpoint.size > 0, let statement = try signed.cosignature(by: key) else { continue }
        guard statement.moment <= now + Submission.clockTolerance else {
          throw Failure(
            .corruptData,
            "a cosignature of \(key.name) is dated \(statement.moment), which is in the future: this machine's clock says \(now)",
            hint: "check this machine's clock; if it is right, the witness's times cannot be trusted")
        }
        let size = signed.checkpoint.size
        if newest.map({ ($0.size, $0.statement.time) < (size, statement.time) }) ?? true {
          newest = Voucher(key: key, size: size, statement: statement, unseen: entries - min(size, entries))
        }
      }
      if let newest { vouchers.append(newest) }
    }
    let required = requireWitness ?? Set(keys).count
    guard vouchers.count >= required else {
      throw Failure(
        .corruptData, "found cosignatures of \(vouchers.count) of the witnesses given, expected \(required)",
        hint: "give a checkpoint that they signed with --checkpoint, as `relatch log checkpoint --cosigned` prints it")
    }
    return vouchers
  }
}
