import Foundation
import Glibc
import Testing

/// A witness as another process, written only from the C2SP pages (Tests/Verifiers/witness.py): real HTTP over
/// loopback.
final class WitnessServer: Sendable {
  static let isAvailable = Intruder.isAvailable
  static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../Verifiers/witness.py").standardized.path

  let folder: URL
  let key: String
  let url: String
  private let running: Running

  /// Starts a witness that knows the log of `place`, with the key of each member.
  init(_ place: Workplace, knows: Bool = true, seed: String = "") async throws {
    folder = place.folder.appendingPathComponent("witness-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Data(seed.utf8).write(to: folder.appendingPathComponent("seed"))
    running = try place.start(try #require(Programs.python), arguments: [Self.script, folder.path])
    let port = folder.appendingPathComponent("port")
    for _ in 1...3000 where !FileManager.default.fileExists(atPath: port.path) {
      try await Task.sleep(for: .milliseconds(10))
    }
    url = "http://127.0.0.1:\(try String(contentsOf: port, encoding: .utf8))/prefix"
    key = try String(contentsOf: folder.appendingPathComponent("vkey"), encoding: .utf8)
    if knows { try await learn(place) }
  }

  deinit { running.send(SIGKILL) }

  /// Gives it the keys of the log's current members.
  func learn(_ place: Workplace) async throws {
    let told = try await place.relatch("log", "witness", "list").errorText
    let keys = told.split(whereSeparator: \.isWhitespace).filter { $0.hasPrefix("relatch/") }.map(String.init)
    let listed = try await place.relatch("log", "verify", "--json").objects().first?["owner"] as? String
    let owner = try #require(listed)
    let origin = owner.prefix { $0 != "+" }
    try write("logs", ([String(origin)] + Set(keys + [owner]).sorted()).joined(separator: " "))
  }

  func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: folder.appendingPathComponent(name))
  }

  func read(_ name: String) -> String {
    (try? String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)) ?? ""
  }

  /// How it answers from now on; empty for correct answers.
  func fault(_ fault: String) throws { try write("fault", fault) }

  func stop() { running.send(SIGKILL) }
}
