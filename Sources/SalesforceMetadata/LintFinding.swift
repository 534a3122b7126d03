/// One thing that was found in a project, and where.
package struct LintFinding: Equatable, Sendable {
  package enum Level: String, Sendable {
    /// It stands in the way of the flow or of rotation, or gives a secret away.
    case fault
    /// It does neither, and somebody may want to know.
    case note
  }

  /// What was looked at; the words are part of the output for programs.
  package enum Check: String, CaseIterable, Sendable {
    /// Not readable as XML, or as a file at all.
    case xml
    /// Not where, or not named as, an org looks for it.
    case place
    /// An element that is not documented, stands twice, or has a value that is none.
    case element
    /// The client credentials flow is not enabled in both places.
    case flow
    case runAs = "run-as"
    /// A part of the app is missing, or belongs to no app of the project.
    case parts
    case scopes
    case secret
    /// The next deployment would replace the pair.
    case replacement
    /// The flow is enabled where older guides have it.
    case olderPlacement = "older-placement"
    /// The app is disabled or blocked.
    case disabled
    /// Who may use the app.
    case permitted
    case pkce
    /// A switch of the org.
    case org
    case manifest
  }

  /// Relative to the project's folder.
  package let file: String
  /// From 1.
  package let line: Int
  package let level: Level
  package let check: Check
  /// What was found. Of the file's own words it has names of apps and elements at most, in plain characters.
  package let text: String
  /// What to do about it.
  package let hint: String
}

/// Findings as they are made.
struct LintReport {
  private(set) var findings: [LintFinding] = []

  mutating func fault(
    _ check: LintFinding.Check, _ file: String, _ line: Int, _ text: String, hint: String
  ) {
    findings.append(LintFinding(file: file, line: line, level: .fault, check: check, text: text, hint: hint))
  }

  mutating func note(
    _ check: LintFinding.Check, _ file: String, _ line: Int, _ text: String, hint: String
  ) {
    findings.append(LintFinding(file: file, line: line, level: .note, check: check, text: text, hint: hint))
  }

  /// In the order of files and lines; of one line, in the order in which they were made.
  var sorted: [LintFinding] {
    findings.enumerated().sorted { one, other in
      let (a, b) = (one.element, other.element)
      if a.file != b.file { return a.file < b.file }
      return a.line != b.line ? a.line < b.line : one.offset < other.offset
    }.map(\.element)
  }
}

extension LintReport {
  /// What a flag of `file` says: nil if it is not there, or says neither, which is a fault of its own.
  mutating func flag(_ name: String, in file: MetadataFile, _ element: XMLElement? = nil) -> (value: Bool?, line: Int)?
  {
    guard let found = single(name, in: file, element) else { return nil }
    switch found.text {
    case "true", "1": return (true, found.line)
    case "false", "0": return (false, found.line)
    default:
      fault(.element, file.path, found.line, "\(name) is neither true nor false", hint: "write true or false")
      return (nil, found.line)
    }
  }

  /// The one child called `name`; that there are two is a fault, and then the first is taken.
  mutating func single(_ name: String, in file: MetadataFile, _ element: XMLElement? = nil) -> XMLElement? {
    let found = (element ?? file.root).all(name)
    if found.count > 1 {
      fault(
        .element, file.path, found[1].line, "\(name) stands here a second time",
        hint: "keep one: which of them an org takes is not documented")
    }
    return found.first
  }
}

/// Names of a file in the words of a finding: nothing that could steer a terminal, nothing long.
func quoted(_ name: String, else other: String) -> String {
  let isPlain =
    !name.isEmpty && name.utf8.count <= 80
    && name.utf8.allSatisfy {
      (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == UInt8(ascii: "_")
    }
  return isPlain ? name : other
}
