package import Audit
import JSON

extension VaultView {
  /// Writes the evidence bundle of `selection`, line by line without newlines; each line is verified before it is handed over.
  /// Throws `notFound` if a credential that is asked for never was in the vault.
  ///
  /// With the checkpoints that witnesses signed, by `records`.
  package func writeBundle(
    _ selection: LogBundle.Selection, records: WitnessRecords, to output: ([UInt8]) throws -> Void
  ) throws -> BundleReport {
    for name in selection.credentials.sorted() where try !hasCredential(name) {
      // It may have been removed since; the log alone knows.
      var isKnown = false
      try replay { entry, _ in isKnown = isKnown || entry.details["credential"] == .string(name) }
      guard isKnown else { throw VaultError(.notFound, "the log never spoke of a credential \(Name.printable(name))") }
    }
    let cosigned = try standings(of: records).compactMap { standing in
      standing.witness.witness.key.flatMap { key in standing.seen?.only([key]) }
    }
    return try LogBundle.write(selection, of: known.end, cosigned: cosigned, in: transaction, to: output)
  }
}
