import Foundation
import Testing

/// One test vector: header lines `name: value`, an empty line, and bytes.
struct VectorFile {
  var headers: [(name: String, value: String)]
  var bytes: [UInt8]

  /// `vault/`, which holds the language-neutral contract.
  static let contract = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../vault").standardized
  /// Whether files are written again. Recording fails the test once, so that nobody records by accident.
  static let isRecording = ProcessInfo.processInfo.environment["RELATCH_RECORD_VECTORS"] == "1"

  var text: [UInt8] { Array((headers.map { "\($0.name): \($0.value)\n" }.joined() + "\n").utf8) + bytes }

  init(_ headers: KeyValuePairs<String, String>, _ bytes: [UInt8]) {
    self.headers = headers.map { (name: $0.key, value: $0.value) }
    self.bytes = bytes
  }

  init(reading file: URL) throws {
    let text = try Array(Data(contentsOf: file))
    let end = try #require(text.indices.dropLast().first { text[$0] == 0x0A && text[$0 + 1] == 0x0A })
    headers = try String(decoding: text[..<end], as: UTF8.self).split(separator: "\n").map { line in
      let colon = try #require(line.range(of: ": "))
      return (String(line[..<colon.lowerBound]), String(line[colon.upperBound...]))
    }
    bytes = Array(text[(end + 2)...])
  }

  subscript(name: String) -> String {
    get throws { try #require(headers.first { $0.name == name }?.value, "header \(name)") }
  }

  /// Compares `bytes` with the file at `path` below `vault/`; writes the file first when recording.
  static func compare(_ bytes: [UInt8], with path: String) throws {
    let file = contract.appending(path: path)
    if isRecording {
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(bytes).write(to: file)
      Issue.record("\(path) was recorded: run again without RELATCH_RECORD_VECTORS")
    }
    #expect(try Array(Data(contentsOf: file)) == bytes, "\(path)")
  }

  /// The vectors in a folder below `vault/vectors`.
  static func all(in folder: String) throws -> [(name: String, vector: VectorFile)] {
    let files = try FileManager.default.contentsOfDirectory(
      at: contract.appending(path: "vectors/\(folder)"), includingPropertiesForKeys: nil)
    #expect(!files.isEmpty)
    return try files.map { ($0.lastPathComponent, try VectorFile(reading: $0)) }
  }
}
