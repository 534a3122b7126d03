/// A named table of a store: opaque byte keys, in ascending byte order, each with one opaque byte value.
///
/// Names are lower-case ASCII letters and `_`, fixed in the code: an engine may use them unquoted as identifiers.
package struct Table: Hashable, Sendable {
  package let name: String
  /// The store format that introduced it. Stores of an earlier format have no such table, and are read as if it were
  /// empty.
  package let since: Int

  /// The table `name`. A name outside `[a-z_]+` is a programming error and stops the process.
  package init(_ name: StaticString, since: Int = 1) {
    let text = name.description
    precondition(
      !text.isEmpty && text.utf8.allSatisfy { (97...122).contains($0) || $0 == 95 }, "table name \(text) is not [a-z_]+"
    )
    self.name = text
    self.since = since
  }
}

/// One row of a table.
package struct Row: Hashable, Sendable {
  package let key: [UInt8]
  package let value: [UInt8]

  package init(key: [UInt8], value: [UInt8]) {
    self.key = key
    self.value = value
  }
}
