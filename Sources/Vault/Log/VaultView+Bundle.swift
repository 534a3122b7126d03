package import Audit
import JSON

extension VaultView {
  /// Throws `notFound` if one of the credentials `names` was never in the vault.
  package func requireMentionedInLog(_ names: Set<String>) throws {
    for name in names.sorted() where try !hasCredential(name) {
      // It may have been removed since; only the log knows.
      var isKnown = false
      try replay { entry, _ in isKnown = isKnown || entry.says("credential", name) }
      guard isKnown else {
        throw VaultError(
          .notFound, "the log has no entry about a credential \(Name.printable(name))",
          hint: "`relatch list` shows those there are; one that was removed keeps the name it had")
      }
    }
  }

  /// Writes the evidence bundle of `selection`, line by line without newlines; each line is verified before it is
  /// handed over. Throws `notFound` if a credential in the selection was never in the vault.
  ///
  /// Includes the checkpoints that witnesses signed, according to `records`, which were read before this view of the
  /// vault was opened, and the proof that the log extends each of `remembered`.
  package func writeBundle(
    _ selection: LogBundle.Selection, records: WitnessRecords.Found, remembered: [SignedCheckpoint] = [],
    to output: ([UInt8]) throws -> Void
  ) throws -> BundleReport {
    try requireMentionedInLog(selection.credentials)
    let cosigned = try standings(of: records).compactMap { standing in
      standing.witness.witness.key.flatMap { key in standing.seen?.only([key]) }
    }
    return try LogBundle.write(
      selection, of: known.end, cosigned: cosigned, remembered: remembered, in: transaction, to: output)
  }
}
