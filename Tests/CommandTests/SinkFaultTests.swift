import Foundation
import Testing

@Suite(
  "A sink's file is either the old or the new one, wherever its writing is cut off", .serialized,
  .enabled(if: Programs.strace != nil, "strace is not installed"))
struct SinkFaultTests {
  /// A credential whose sink has its first pair, and a vault to copy.
  private struct Scene {
    let place: Workplace
    let folder: String
    let old: String
    let new: String

    var sink: String { folder + "/pair.json" }

    init() async throws {
      place = try await Workplace()
      try await place.add("crm")
      folder = place.folder.path + "/outside"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      old = try await place.org.primary().document + "\n"
      _ = try await place.relatch("sink", "add", "crm", folder + "/pair.json")
      #expect(try await place.relatch("deliver", "crm").code == 0)
      #expect(try await place.relatch("rotate", "crm").code == 0)
      new = try await place.org.primary().document + "\n"
      try reset()
    }

    /// Restores the old content, as an earlier delivery left it, and removes everything else.
    func reset() throws {
      for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
        try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
      }
      try Data(old.utf8).write(to: URL(fileURLWithPath: sink))
      #expect(chmod(sink, 0o600) == 0)
    }

    /// Delivers again, with a fault in the `point`-th of `calls`, counted over all or only those that name the sink or
    /// its folder.
    func deliver(_ fault: String, _ calls: Calls, at point: Int) async throws -> Outcome {
      let filter = calls.areFiltered ? ["-P", folder, "-P", sink] : []
      return try await place.run(
        Programs.strace ?? "",
        // strace counts calls for each thread: with one thread that does all the work, they are counted in order.
        ["-f", "-o", "/dev/null", "-E", "LIBDISPATCH_COOPERATIVE_POOL_STRICT=1"] + filter + [
          "-e", "trace=\(calls.name)", "-e", "inject=\(calls.name):\(fault):when=\(point)", Programs.relatch,
          "deliver", "--again", "crm",
        ])
    }

    /// The folder has the old or the new file, and nobody else may read any of it.
    func check(_ point: String) throws {
      let content = try String(contentsOfFile: sink, encoding: .utf8)
      #expect(content == old || content == new, "\(point): \(content.utf8.count) bytes")
      for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
        var found = stat()
        #expect(lstat("\(folder)/\(name)", &found) == 0)
        #expect(found.st_mode & 0o077 == 0, "\(point): \(name) has mode \(String(found.st_mode, radix: 8))")
      }
    }
  }

  /// A kind of system call to interfere with. The new file's own name is not known beforehand, so calls on its
  /// descriptor cannot be told from others of their kind; those are few.
  struct Calls: Sendable {
    let name: String
    let areFiltered: Bool

    static func onFolder(_ name: String) -> Calls { Calls(name: name, areFiltered: true) }
    static func onFile(_ name: String) -> Calls { Calls(name: name, areFiltered: false) }
  }

  private func canTrace(_ place: Workplace) async throws -> Bool {
    let probe = try await place.run(Programs.strace ?? "", ["-f", "-o", "/dev/null", "/bin/true"])
    if probe.code != 0 { print("skipped: processes cannot be traced here: \(probe.errorText)") }
    return probe.code == 0
  }

  @Test("by a kill at each system call, after which the next run delivers and nothing is left")
  func killed() async throws {
    let scene = try await Scene()
    guard try await canTrace(scene.place) else { return }
    var points = 0
    let kinds =
      ["openat", "newfstatat", "renameat", "getdents64", "fsync"].map { Calls.onFolder($0) }
      + ["write", "flock", "fchmod", "fsync"].map { Calls.onFile($0) }
    for calls in kinds {
      var hasEnded = false
      for point in 1...30 where !hasEnded {
        try scene.reset()
        let outcome = try await scene.deliver("signal=KILL", calls, at: point)
        try scene.check("\(calls.name) \(point)")
        guard outcome.code == -SIGKILL else {
          #expect(outcome.code == 0, "\(calls.name) \(point): \(outcome.errorText)")
          #expect(point > 1, "\(calls.name)")
          hasEnded = true
          continue
        }
        points += 1
        let again = try await scene.place.relatch("deliver", "--again", "crm")
        #expect(again.code == 0, "\(calls.name) \(point): \(again.errorText)")
        #expect(try String(contentsOfFile: scene.sink, encoding: .utf8) == scene.new)
        #expect(
          try FileManager.default.contentsOfDirectory(atPath: scene.folder) == ["pair.json"], "\(calls.name) \(point)")
      }
      #expect(hasEnded, "\(calls.name)")
    }
    print("kill points of a file sink: \(points)")
    #expect(try await scene.place.logIsIntact())
  }

  @Test("by a power cut: the new file is durable before it takes its place, and its folder once it has")
  func durable() async throws {
    let scene = try await Scene()
    guard try await canTrace(scene.place) else { return }
    let trace = scene.place.folder.path + "/trace"
    let outcome = try await scene.place.run(
      Programs.strace ?? "",
      ["-f", "-y", "-o", trace, "-e", "trace=fsync,renameat", Programs.relatch, "deliver", "--again", "crm"])
    #expect(outcome.code == 0, "\(outcome.errorText)")
    let calls = try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n")
    let placed = try #require(calls.firstIndex { $0.contains("renameat(") && $0.contains(#""pair.json""#) })
    #expect(calls[..<placed].contains { $0.contains("fsync(") && $0.contains("/outside/.pair.json.relatch-") })
    #expect(calls[placed...].contains { $0.contains("fsync(") && $0.contains("/outside>") })
  }

  @Test(
    "by a full or broken disk at each write, which ends with 11, and the next run delivers",
    arguments: ["ENOSPC", "EIO"])
  func failing(error: String) async throws {
    let scene = try await Scene()
    guard try await canTrace(scene.place) else { return }
    let calls =
      ["openat", "fsync", "renameat"].map { Calls.onFolder($0) }
      + ["fchmod", "flock"].map { Calls.onFile($0) }
    for call in calls {
      var failures = 0
      for point in 1...12 {
        try scene.reset()
        let outcome = try await scene.deliver("error=\(error)", call, at: point)
        try scene.check("\(call.name) \(point)")
        guard outcome.code != 0 else { continue }
        // Calls that cannot be told apart may be the vault's, or those of standard output.
        guard outcome.code == 11 || call.areFiltered else { continue }
        failures += 1
        #expect(outcome.code == 11, "\(call.name) \(point): \(outcome.errorText)")
        #expect(outcome.errorText.contains("relatch: hint: "))
        #expect(
          try FileManager.default.contentsOfDirectory(atPath: scene.folder) == ["pair.json"], "\(call.name) \(point)")
        let again = try await scene.place.relatch("deliver", "crm")
        #expect(again.code == 0, "\(call.name) \(point): \(again.errorText)")
      }
      #expect(failures >= 1, "\(call.name)")
    }
  }
}
