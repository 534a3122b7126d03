/// Why nothing could be written or read at all. What is wrong *in* a project is a `LintFinding`.
package struct MetadataError: Error, CustomStringConvertible {
  package enum Code: Sendable {
    /// There is no such folder, or nothing in it that describes an app.
    case notFound
    /// A name or address that no org would take.
    case invalidInput
    /// More than a project may have: files, levels of folders.
    case tooLarge
    case cannotRead
    /// libexpat is not installed.
    case noReader
  }

  package let code: Code
  package let description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }
}
