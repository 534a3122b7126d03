/// One thing found in a project, and where.
package struct LintFinding: Equatable, Sendable {
  package enum Level: String, Sendable {
    /// It prevents the flow or rotation, or exposes a secret.
    case fault
    /// It does neither, but somebody may want to know.
    case note
  }

  /// What was checked. The words are part of the output for programs.
  package enum Check: String, CaseIterable, Sendable {
    /// Not readable as XML, or as a file at all.
    case xml
    /// Not in the place, or not of the name, that an org looks for.
    case place
    /// An element that is not documented, occurs twice, or has an invalid value.
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
    /// The flow is enabled in the place that older guides give.
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

  /// The path relative to the project's folder.
  package let file: String
  /// Counted from 1.
  package let line: Int
  package let level: Level
  package let check: Check
  /// What was found. From the file itself it contains at most names of apps and elements, in plain characters.
  package let text: String
  /// What to do about it.
  package let hint: String
}

/// Collects findings.
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

  /// The findings in the order of files and lines; those of one line in the order in which they were made.
  var sorted: [LintFinding] {
    findings.enumerated().sorted { one, other in
      let (a, b) = (one.element, other.element)
      if a.file != b.file { return a.file < b.file }
      return a.line != b.line ? a.line < b.line : one.offset < other.offset
    }.map(\.element)
  }
}

extension LintReport {
  /// The flag `name` of `file`; nil if it is not there. A `value` of nil is neither true nor false, which is reported
  /// as a fault.
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

  /// The one child called `name`. If there are more, this reports a fault and returns the first.
  mutating func single(_ name: String, in file: MetadataFile, _ element: XMLElement? = nil) -> XMLElement? {
    let found = (element ?? file.root).all(name)
    if found.count > 1 {
      fault(
        .element, file.path, found[1].line, "\(name) is here a second time",
        hint: "keep one: which of them an org uses is not documented")
    }
    return found.first
  }
}

/// A name from a file as a finding may quote it, or `other`: nothing that could control a terminal, nothing long.
func quoted(_ name: String, else other: String) -> String {
  let isPlain =
    !name.isEmpty && name.utf8.count <= 80
    && name.utf8.allSatisfy {
      (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == UInt8(ascii: "_")
    }
  return isPlain ? name : other
}
