import FoundationEssentials

/// A request, independent of the HTTP library that received it.
struct OrgRequest: Sendable {
  let method: String
  let path: String
  let query: [String: String]
  let authorization: String?
  let hasLength: Bool
  let body: Data

  var segments: [String] {
    path.split(separator: "/").map { Self.percentDecoded($0) }
  }

  /// The body as `application/x-www-form-urlencoded`; of several fields with one name, the last wins.
  var form: [String: String] {
    var fields: [String: String] = [:]
    for field in String(decoding: body, as: UTF8.self).split(separator: "&") {
      let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      fields[Self.formDecoded(parts[0])] = parts.count == 2 ? Self.formDecoded(parts[1]) : ""
    }
    return fields
  }

  var bearerToken: String? {
    guard let authorization, authorization.lowercased().hasPrefix("bearer ") else { return nil }
    return String(authorization.dropFirst(7))
  }

  static func formDecoded(_ text: Substring) -> String {
    percentDecoded(text.replacing("+", with: " "))
  }

  /// Leaves anything that is not a valid escape as it is: a raw secret in a Basic header may hold a bare `%`.
  private static func percentDecoded(_ text: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), let high = hexDigit(rest.first), let low = hexDigit(rest.dropFirst().first) {
        bytes.append(high << 4 | low)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func hexDigit(_ byte: UInt8?) -> UInt8? {
    byte.flatMap { Character(UnicodeScalar($0)).hexDigitValue }.map { UInt8($0) }
  }
}
