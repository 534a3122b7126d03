import JSON
package import Vault

/// The file of allowed programs: each line allows a program with its arguments for one vault.
///
/// Bytes are compared: what looks like the same text to a person, or counts as the same, is another program to the
/// system.
package enum ProgramLines {
  /// The line that allows `arguments` to `vault`, without its newline.
  package static func line(_ arguments: [String], _ vault: Identifier) -> String {
    JSONValue.object([
      "arguments": .array(arguments.map { .string($0) }), "vault": .string(vault.description),
    ]).canonicalText
  }

  /// Whether a line of `file` allows exactly `arguments` to `vault`. A line of any other form allows nothing.
  package static func allow(_ arguments: [String], _ vault: Identifier, in file: [UInt8]) -> Bool {
    let wanted = Array(line(arguments, vault).utf8)
    return file.split(separator: UInt8(ascii: "\n")).contains { line in
      line.elementsEqual(wanted)
        || (try? JSONValue(reading: Array(line)))?.canonicalText.utf8.elementsEqual(wanted) ?? false
    }
  }

  /// `file` with one more line.
  package static func adding(_ arguments: [String], _ vault: Identifier, to file: [UInt8]) -> [UInt8] {
    let newline = UInt8(ascii: "\n")
    return file + (file.last ?? newline == newline ? [] : [newline]) + Array(line(arguments, vault).utf8) + [newline]
  }
}
