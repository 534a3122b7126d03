import Glibc
import JSON
import Vault

/// Where a command writes its file: to a new file, never over an existing one, or to standard output.
struct OutputPlace {
  /// Nil for standard output.
  let path: String?

  /// Fails before anything is done if the file cannot be written there. `what` names content that is not text for a
  /// terminal; nil if it is.
  init(_ path: String?, _ what: String?, verb: String) throws {
    self.path = path
    guard let path else {
      guard what == nil || !StandardStream.output.isTerminal else {
        throw Failure(.usage, "\(what ?? "") is not text for a terminal", hint: "name a file: `relatch \(verb)`")
      }
      return
    }
    guard !path.isEmpty else {
      throw Failure(.usage, "the file to write has no name", hint: "name a file that does not exist: `relatch \(verb)`")
    }
    guard !PrivateFile.isTaken(path) else {
      throw Failure(
        .usage, "cannot write \(Name.printable(path)): it already exists",
        hint: "name a file that does not exist")
    }
    guard access(PrivateFile.folder(of: path), W_OK | X_OK) == 0 else {
      throw Failure(
        .cannotWrite, "cannot write \(Name.printable(path)): \(Errno.text)",
        hint: "name a file in a folder that you can write to")
    }
  }

  func write(_ bytes: [UInt8]) throws {
    let bytes = bytes.span.bytes
    if let path { try PrivateFile.create(path, bytes) } else { try StandardStream.output.write(bytes) }
  }

  /// Reports a result. It goes to standard error, for people, if standard output gets the file itself.
  func tell(_ report: Report, _ object: JSONValue, _ text: String) throws(StreamError) {
    guard path == nil else { return try report.confirmation(object, text: text) }
    report.note(text)
  }
}
