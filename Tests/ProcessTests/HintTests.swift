import ArgumentParser
import Foundation
import Testing

@testable import relatch

/// A command line that the sources or the pages print between backticks.
private struct PrintedCommand: Hashable {
  let file: String
  let words: [String]

  /// Those of a file's `text`. In Swift, literals that are put together are read as one, and what is interpolated is a
  /// word.
  static func all(in text: String, of file: String) -> [PrintedCommand] {
    text.components(separatedBy: "`relatch").dropFirst().compactMap { after in
      guard after.first?.isWhitespace == true else { return nil }
      // More than any has.
      var rest = String(after.prefix(500))
      let isSwift = file.hasSuffix(".swift")
      if isSwift {
        rest = withoutInterpolations(
          rest.replacing(/"\s*\n\s*\+ "/, with: "").replacing(/\\\n\s*/, with: "").replacing(#"\""#, with: "'"))
      }
      guard let end = rest.firstIndex(of: "`") else { return nil }
      // In Swift, what goes on in the next line is a comment.
      guard !isSwift || !rest[..<end].contains("\n") else { return nil }
      let found = words(rest[..<end])
      // An interpolated verb is not known, and the verbs after help are interpolated.
      guard ![sample, "help", "--version"].contains(found.first) else { return nil }
      return PrintedCommand(file: file, words: found)
    }
  }

  /// What stands for a placeholder. It is a name and a number.
  private static let sample = "1"

  /// The words as a shell would see them, with the sample for what is put in.
  private static func words(_ line: Substring) -> [String] {
    let plain = line.replacing(/\[[^\]]*\]/, with: "").replacing("...", with: "…")
      .replacing(/'[^']*'|"[^"]*"/, with: sample)
    let words = plain.split(whereSeparator: \.isWhitespace).map(String.init)
    // What follows is the shell's.
    return words.prefix { !["<", ">", "|"].contains($0) }.map { word in
      // One of several, or a number.
      word.contains("|") ? String(word.prefix { $0 != "|" }) : word == "N" ? sample : word
    }
  }

  private static func withoutInterpolations(_ text: String) -> String {
    var (result, rest) = ("", text[...])
    while let start = rest.firstRange(of: #"\("#) {
      result += rest[..<start.lowerBound]
      // After a letter it is what a command has in some cases only.
      if result.last?.isLetter != true { result += sample }
      rest = rest[start.upperBound...]
      var depth = 1
      while depth > 0, let character = rest.popFirst() {
        depth += character == "(" ? 1 : character == ")" ? -1 : 0
      }
    }
    return result + rest
  }

  /// Whether it only speaks of a verb or of its options, and is nothing to type.
  private var isMention: Bool {
    let path = MistakenArguments(words).verbs
    return words.dropFirst(path.count).allSatisfy { $0.hasPrefix("--") || $0 == "…" }
  }

  /// What the parser says against it; nil if it takes it.
  var refusal: String? {
    if isMention {
      let verbs = MistakenArguments(words).verbs
      guard !verbs.isEmpty, MistakenArguments(words).unknownVerb == nil else { return "there is no such verb" }
      var command: any ParsableCommand.Type = Relatch.self
      for verb in verbs {
        command = command.configuration.subcommands.first { $0.configuration.commandName == verb } ?? command
      }
      let known = Set(
        Relatch.helpMessage(for: command, columns: 400).matches(of: /--[a-z-]+/).map { String($0.output) })
      return words.first { $0.hasPrefix("--") && !known.contains($0) }.map { "there is no \($0)" }
    }
    // A lone ellipsis is whatever else is needed.
    var said: String?
    for count in 0...2 {
      let more = Array(repeating: Self.sample, count: count)
      let line = words.flatMap { $0 == "…" ? more : [$0.replacing("…", with: Self.sample)] }
      do {
        _ = try Relatch.parseAsRoot(line)
        return nil
      } catch {
        guard !Relatch.exitCode(for: error).isSuccess else { return nil }
        said = said ?? Relatch.message(for: error)
      }
    }
    return said
  }
}

@Suite("A command that is printed")
struct HintTests {
  private static let top = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  private func commands(in folder: String, _ ending: String) throws -> Set<PrintedCommand> {
    let folder = Self.top.appendingPathComponent(folder)
    let paths = try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(ending) }
    return try paths.reduce(into: []) { found, path in
      let text = try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
      found.formUnion(PrintedCommand.all(in: text, of: path))
    }
  }

  @Test("in an error, a hint or a page is not refused as usage")
  func known() throws {
    let sources = try commands(in: "Sources", ".swift")
    let readme = try String(contentsOf: Self.top.appendingPathComponent("README.md"), encoding: .utf8)
    let pages = try commands(in: "docs", ".md").union(commands(in: "vault", ".md"))
      .union(PrintedCommand.all(in: readme, of: "README.md"))
    #expect(sources.count > 150 && pages.count > 60, "\(sources.count), \(pages.count)")
    // Many are printed in several places.
    for command in Dictionary(sources.union(pages).map { ($0.words, $0) }, uniquingKeysWith: { $1 }).values {
      let refusal = command.refusal
      #expect(refusal == nil, "\(command.file): relatch \(command.words.joined(separator: " ")): \(refusal ?? "")")
    }
  }

  @Test("is found as it is printed, and what the parser refuses is noticed")
  func noticed() {
    func refusals(_ text: String, _ file: String) -> [Bool] {
      PrintedCommand.all(in: text, of: file).map { $0.refusal != nil }
    }
    let source = #"hint: "`relatch revoke \(names.joined(separator: " ")) --reason TEXT`; `relatch revoke \(name)`""#
    #expect(refusals(source, "a.swift") == [false, true])
    #expect(refusals("\"`relatch settings \\(name)\"\n  + \" --set x=1`\"", "a.swift") == [true])
    let page =
      "`relatch adopt\nNAME --stdin`, `relatch adopt`, `relatch adpt`, `relatch rotate --al`, `relatch plan x --no`"
    #expect(refusals(page, "a.md") == [false, false, true, true, true])
  }
}
