/// Text that is not the JSON it must be: where, what was found, what was expected. It never holds the text itself.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of failure this is; equality and callers' branches look only at this.
  package enum Code: Sendable {
    /// Not JSON as RFC 8259 defines it, or beyond the limits of the reader.
    case malformed
    /// JSON, but not in the one canonical form (RFC 8785).
    case notCanonical
    /// A member that must be there is not.
    case missing
    /// A member has another type, or a value outside its range.
    case wrongType
    /// A member that nobody asked for.
    case unknownMember
  }

  package let code: Code
  package let description: String

  package init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }

  package static func == (left: Self, right: Self) -> Bool { left.code == right.code }
}
