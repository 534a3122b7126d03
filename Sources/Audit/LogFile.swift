package import Storage

/// A log as one portable text: a line for each entry, and after each run its checkpoint, as `vault/log.md` describes.
///
/// Entries begin with `{`, which no line of our checkpoints does, so the text needs no other marks.
package enum LogFile {
  /// Verifies a log given as lines without their newlines, in constant memory.
  ///
  /// The lines are what `split(separator: "\n")` gives for a text that ends with a newline, without the last empty one.
  package static func verify(
    lines: some Sequence<[UInt8]>, expecting expectations: LogExpectations = LogExpectations()
  ) throws(AuditError) -> LogReport {
    var verification = LogVerification(expecting: expectations)
    var note: [UInt8] = []
    for line in lines {
      if line.first == UInt8(ascii: "{") {
        if !note.isEmpty { try verification.add(checkpoint: note) }
        note = []
        try verification.add(entry: line)
      } else {
        guard note.count + line.count < SignedNote.maximumSize else {
          throw AuditError(.malformed, entry: verification.size, "a checkpoint is longer than any note")
        }
        note += line + [0x0A]
      }
    }
    if !note.isEmpty { try verification.add(checkpoint: note) }
    return try verification.finish()
  }

  /// Verifies a whole text in memory.
  package static func verify(_ bytes: [UInt8], expecting expectations: LogExpectations = LogExpectations())
    throws(AuditError) -> LogReport
  {
    guard bytes.last == 0x0A else { throw AuditError(.malformed, "a log file must end with a newline") }
    let lines = bytes.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false).lazy.map(Array.init)
    return try verify(lines: lines, expecting: expectations)
  }
}

extension LogFile {
  /// Writes the stored log as such a text, a part at a time. It does not verify the log: anyone can verify the text.
  package static func write(storedIn transaction: any ReadTransaction, to output: ([UInt8]) throws -> Void) throws {
    var checkpoints = RowPages(of: .checkpoints)
    var entries = RowPages(of: .log)
    var checkpoint = try checkpoints.next(in: transaction)
    while let entry = try entries.next(in: transaction) {
      // The checkpoint of a size comes before the entry with that index.
      while let found = checkpoint, found.key.lexicographicallyPrecedes(entry.key) || found.key == entry.key {
        try output(found.value)
        checkpoint = try checkpoints.next(in: transaction)
      }
      try output(entry.value + [0x0A])
    }
    while let found = checkpoint {
      try output(found.value)
      checkpoint = try checkpoints.next(in: transaction)
    }
  }
}
