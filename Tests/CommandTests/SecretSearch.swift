import Foundation

/// Looks for secrets in any form in which they may have leaked: as they are, as JSON and forms encode them, in
/// hexadecimal, in base64.
struct SecretSearch: Sendable {
  /// One secret in one form.
  struct Pattern: Sendable {
    let secret: String
    let form: String
    let bytes: Data
  }

  let patterns: [Pattern]

  init(_ secrets: [String: Data]) {
    patterns = secrets.flatMap { name, bytes in
      Self.forms(of: bytes).map { Pattern(secret: name, form: $0.name, bytes: $0.bytes) }
    }
  }

  /// Every form of `secret`. Base64 depends on what precedes the secret: this has each of the three alignments, without
  /// the characters that are shared with its neighbours.
  static func forms(of secret: Data) -> [(name: String, bytes: Data)] {
    let hex = secret.map { String(format: "%02x", $0) }.joined()
    var forms = [
      ("plain", secret), ("hex", Data(hex.utf8)), ("HEX", Data(hex.uppercased().utf8)),
      ("reversed", Data(secret.reversed())),
    ]
    if let text = String(data: secret, encoding: .utf8) {
      let json = text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
      if json != text { forms.append(("JSON", Data(json.utf8))) }
      let plain = CharacterSet(charactersIn: "-._~").union(.alphanumerics)
      if let form = text.addingPercentEncoding(withAllowedCharacters: plain), form != text {
        forms.append(("form", Data(form.utf8)))
      }
    }
    for shift in 0...2 {
      let text = (Data(count: shift) + secret).base64EncodedString()
      let first = [0, 2, 3][shift]
      let inner = text.prefix((shift + secret.count) * 8 / 6).dropFirst(first)
      forms.append(("base64+\(shift)", Data(inner.utf8)))
      let safe = inner.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }
      if String(safe) != String(inner) { forms.append(("base64url+\(shift)", Data(String(safe).utf8))) }
    }
    return forms.map { (name: $0.0, bytes: $0.1) }
  }

  /// What is found in `data`, named as `place`.
  func findings(in data: Data, _ place: String) -> [String] {
    patterns.filter { data.range(of: $0.bytes) != nil }.map { "\($0.secret) as \($0.form) in \(place)" }
  }

  /// What is found in any file below `folder`.
  func findings(below folder: URL) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder.path).flatMap { path -> [String] in
      let file = folder.appendingPathComponent(path)
      guard (try? file.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile) == true else { return [] }
      return findings(in: try Data(contentsOf: file), path)
    }
  }

  /// What is found in the arguments and the environment of a running process. Nil if the kernel does not show them,
  /// because the process gave up its dumpable flag.
  func findings(inProcess pid: Int32) async throws -> [String]? {
    var found: [String] = []
    for name in ["cmdline", "environ"] {
      let path = "/proc/\(pid)/\(name)"
      var data: Data?
      // Both are empty for a moment after a program starts.
      for _ in 1...1000 where data == nil {
        // A handle, because the kernel reports a size of 0 for these files.
        guard let handle = try? FileHandle(forReadingFrom: URL(fileURLWithPath: path)) else { return nil }
        data = try handle.readToEnd()
        if data == nil { try await Task.sleep(for: .milliseconds(10)) }
      }
      guard let data else { return nil }
      found += findings(in: data, path)
    }
    return found
  }
}
