import Foundation

/// One file of the CCTV age suite: header lines, an empty line, and the age file.
struct Vector {
  enum Expectation: String, CaseIterable {
    case success
    case armorFailure = "armor failure"
    case headerFailure = "header failure"
    case hmacFailure = "HMAC failure"
    case payloadFailure = "payload failure"
    case noMatch = "no match"
  }

  struct Malformed: Error, CustomStringConvertible { let description: String }

  var expectation = Expectation.success
  var payloadDigest = ""
  var fileKey: [UInt8] = []
  var identities: [String] = []
  var passphrases: [String] = []
  var isArmored = false
  var file: [UInt8] = []

  init(named name: String) throws {
    let bytes = [UInt8](try Data(contentsOf: Self.folder.appendingPathComponent(name)))
    var rest = bytes[...]
    var isCompressed = false
    var hasExpectation = false
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      let line = String(decoding: rest[..<end], as: UTF8.self)
      rest = rest[(end + 1)...]
      if line.isEmpty { break }
      guard let colon = line.range(of: ": ") else { throw Malformed(description: "\(name): header line \"\(line)\"") }
      let value = String(line[colon.upperBound...])
      switch line[..<colon.lowerBound] {
      case "expect":
        guard let expectation = Expectation(rawValue: value) else { throw Malformed(description: "\(name): \(line)") }
        self.expectation = expectation
        hasExpectation = true
      case "payload": payloadDigest = value
      case "file key": fileKey = hex(value)
      case "identity": identities.append(value)
      case "passphrase": passphrases.append(value)
      case "armored":
        guard value == "yes" else { throw Malformed(description: "\(name): \(line)") }
        isArmored = true
      case "compressed":
        guard value == "zlib" else { throw Malformed(description: "\(name): \(line)") }
        isCompressed = true
      case "comment": break
      default: throw Malformed(description: "\(name): unknown key in \"\(line)\"")
      }
    }
    guard hasExpectation else { throw Malformed(description: "\(name): no \"expect\" line") }
    file = isCompressed ? try inflate(Array(rest)) : Array(rest)
  }

  /// `$RELATCH_AGE_VECTORS`, or the folder beside the checkout.
  static let folder: URL = {
    if let path = ProcessInfo.processInfo.environment["RELATCH_AGE_VECTORS"] { return URL(fileURLWithPath: path) }
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return root.appendingPathComponent("../shared/vectors/age").standardizedFileURL
  }()

  static let names: [String] = {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.filter { !$0.hasPrefix(".") }.sorted()
  }()
}

func hex(_ text: String) -> [UInt8] {
  let digits = text.compactMap(\.hexDigitValue)
  return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func hex(_ bytes: [UInt8]) -> String { bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }
