import Foundation
import Testing

/// The real programs, found beside the test bundle in the build's folder, and a way to run one to its end.
enum Programs {
  static let relatch = folder + "/relatch"
  static let demo = folder + "/relatch-demo"
  static let simulator = folder + "/org-simulator"
  static let strace = first(of: ["/usr/bin/strace", "/bin/strace"])
  static let age = first(of: ["/usr/bin/age", "/usr/local/bin/age"])
  static let python = first(of: ["/usr/bin/python3", "/usr/local/bin/python3"])
  static let go = first(of: ["/usr/bin/go", "/usr/local/go/bin/go"])
  static let openssl = first(of: ["/usr/bin/openssl"])
  static let promtool = first(of: ["/usr/local/bin/promtool", "/usr/bin/promtool"])
  static let systemdAnalyze = first(of: ["/usr/bin/systemd-analyze", "/bin/systemd-analyze"])
  static let setpriv = first(of: ["/usr/bin/setpriv", "/bin/setpriv"])
  static let mkfs = first(of: ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"])
  static let mount = first(of: ["/usr/bin/mount", "/bin/mount"])
  static let umount = first(of: ["/usr/bin/umount", "/bin/umount"])
  static let setsid = first(of: ["/usr/bin/setsid", "/bin/setsid"])

  /// The build's folder. On Linux the bundle is itself a program in it.
  private static let folder: String = {
    let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(fileURLWithPath: bundle).deletingLastPathComponent().path
  }()

  private static func first(of paths: [String]) -> String? {
    paths.first { FileManager.default.isExecutableFile(atPath: $0) }
  }
}

/// How a run ended, and everything it printed.
struct Outcome: Sendable {
  /// The exit code; if a signal ended the run, minus the signal's number.
  let code: Int32
  let output: Data
  let errors: Data

  var outputText: String { String(decoding: output, as: UTF8.self) }
  var errorText: String { String(decoding: errors, as: UTF8.self) }
  /// Standard output without its last newline.
  var line: String { outputText.hasSuffix("\n") ? String(outputText.dropLast()) : outputText }

  /// Each line of standard output as a JSON object.
  func objects() throws -> [[String: Any]] {
    try outputText.split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }
  }
}
