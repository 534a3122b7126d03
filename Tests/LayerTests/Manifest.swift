import Foundation

/// The targets under `Sources` that Package.swift declares.
struct Manifest {
  struct Target {
    let name: String
    let dependencies: Set<String>
  }

  let targets: [Target]

  /// Reads the declarations as text, because only the package manager can run a manifest.
  init(_ text: String) {
    let declaration = #/
      \.(target|executableTarget|systemLibrary|testTarget) \( \s* name: \s* "([^"]+)"
      /#
    let body = text.range(of: "  targets: [").map { text[$0.upperBound...] } ?? text[...]
    let matches = body.matches(of: declaration)
    targets = matches.enumerated().compactMap { index, match in
      let end = index + 1 < matches.count ? matches[index + 1].range.lowerBound : body.endIndex
      let rest = body[match.range.upperBound..<end]
      guard match.1 != "testTarget", !rest.contains("path: \"Tests/") else { return nil }
      return Target(name: String(match.2), dependencies: Self.dependencies(in: rest))
    }
  }

  private static func dependencies(in declaration: Substring) -> Set<String> {
    guard let list = declaration.firstMatch(of: #/dependencies:\s*\[([^\]]*)\]/#)?.1 else { return [] }
    var names = Set(list.matches(of: #/(package:\s*)?"([^"]+)"/#).filter { $0.1 == nil }.map { String($0.2) })
    if list.contains("argumentParser") { names.insert("ArgumentParser") }
    return names
  }
}

/// The last cell of a row of the design page's table of targets.
struct DesignRow {
  let mayImport: String

  /// Whether the cell names the same targets of ours as `layer`. The programs' cells say "all" or "all but X".
  func names(_ layer: Layer, among targets: Set<String>) -> Bool {
    let named = Set(mayImport.matches(of: #/[\w-]+/#).map { String($0.0) }).intersection(targets)
    return mayImport.hasPrefix("all") ? named.isDisjoint(with: layer.ours) : named == layer.ours
  }
}

/// The rows of the table headed `| target | … | may import |`, one for each target named in the first cell; a target in
/// parentheses there is planned.
func designRows(of page: String) -> [String: DesignRow] {
  var rows: [String: DesignRow] = [:]
  var isInTable = false
  for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
    let cells = line.split(separator: "|").map { $0.trimmingPrefix(#/\s+/#).replacing(#/\s+$/#, with: "") }
    guard line.hasPrefix("|"), let first = cells.first, let last = cells.last else {
      isInTable = false
      continue
    }
    if first == "target" && last == "may import" { isInTable = true }
    guard isInTable else { continue }
    let present = first.replacing(#/\([^)]*\)/#, with: "")
    for name in present.matches(of: #/`([\w-]+)`/#) { rows[String(name.1)] = DesignRow(mayImport: String(last)) }
  }
  return rows
}
