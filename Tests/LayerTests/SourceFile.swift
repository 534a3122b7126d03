import Foundation
import Testing

/// A file of a target, for rules about its text.
struct SourceFile: Sendable, CustomTestStringConvertible {
  /// Relative to the folder of the targets: `Sodium/Randomness.swift`.
  let path: String
  /// The text with comments and the contents of string literals blanked, so that words in them break no rule.
  let code: String

  var target: String { String(path.prefix { $0 != "/" }) }
  var testDescription: String { path }

  /// The files of `folder`, sorted by path.
  static func all(in folder: URL, withExtensions extensions: Set<String> = ["swift"]) throws -> [SourceFile] {
    let paths = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
    return try paths.filter { extensions.contains(($0 as NSString).pathExtension) }.sorted().map { path in
      let text = try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
      return SourceFile(path: path, code: blankingCommentsAndStrings(text))
    }
  }

  /// The imported modules, in any form: `import X`, `package import X`, `@testable import X`, `import struct X.Y`.
  var imports: [String] {
    let form =
      #/
      (?:^|;) [\ \t]* (?: @\w+ (?: \( [^)]* \) )? \s+ )* (?: (?:public|package|internal|fileprivate|private) \s+ )?
      import \s+ (?: (?:struct|class|enum|protocol|typealias|func|let|var|actor) \s+ )? `? (\w+)
      /#.anchorsMatchLineEndings()
    return code.matches(of: form).map { String($0.1) }
  }
}

/// `text` with the same number of lines, and spaces in place of comments and string literals.
private func blankingCommentsAndStrings(_ text: String) -> String {
  let form =
    #/
    \/\/ [^\n]*
    | \/\* (?: . | \n )*? \*\/
    | (\#+) " (?: . | \n )*? " \1
    | """ (?: \\ (?:.|\n) | [^\\] )*? """
    | " (?: \\ . | [^"\\\n] )* "
    /#
  return text.replacing(form) { match in String(match.0.filter { $0 == "\n" }) + " " }
}
