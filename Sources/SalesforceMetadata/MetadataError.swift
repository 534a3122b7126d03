/// Why nothing could be written or read at all. A problem *in* a project is a `LintFinding`.
package struct MetadataError: Error, CustomStringConvertible {
  package enum Code: Sendable {
    /// There is no such folder, or no file in it describes an app.
    case notFound
    /// A value that no org would accept.
    case invalidInput
    /// More files, bytes or levels of folders than a project may have.
    case tooLarge
    case cannotRead
    /// libexpat cannot be loaded.
    case noReader
  }

  package let code: Code
  package let description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }
}
