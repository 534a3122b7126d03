import Foundation
import Testing

@Suite(
  "A disk that fails at any write ends a rotation with 74, without an unrecorded request, and the next run recovers",
  .serialized, .enabled(if: Programs.strace != nil, "strace is not installed"))
struct DiskFaultTests {
  @Test("from any write on or at a single one, whether the file system is full, read-only or broken")
  func sweep() async throws {
    let bench = try await DiskBench()
    guard let calls = try await bench.calls() else { return }
    let writes = calls["pwrite64"] ?? 0
    let syncs = calls["fdatasync"] ?? 0
    #expect(writes >= 100 && syncs >= 10 && calls["ftruncate"] ?? 0 >= 2, "\(calls): with the log moved on the way")
    var faults: [DiskFault] = []
    for call in calls.keys.sorted() {
      let last = calls[call] ?? 0
      let isMany = last > 20
      for number in (call == "openat" ? 2 : 1)...max(last, 2) {
        // Every write fails once; only some writes fail in the other ways.
        faults.append(DiskFault(call: call, error: isMany ? "ENOSPC" : "EIO", first: number, isLasting: true))
        if !isMany || number % 8 == 1 {
          faults.append(DiskFault(call: call, error: "EIO", first: number, isLasting: false))
        }
        if number % 8 == 5 || call == "openat" {
          faults.append(DiskFault(call: call, error: "EROFS", first: number, isLasting: true))
        }
      }
    }
    let found = try await bench.run(faults)
    print(
      """
      disk faults: \(faults.count) of \(calls.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")): \
      \(found.count { $0 == 74 }) ended with 74, \(found.count { $0 == 0 }) were made up for
      """)
    #expect(found.count { $0 == 74 } > writes / 2)
  }
}

@Suite(
  "A rotation on a full or read-only file system", .enabled(if: geteuid() == 0, "needs root to mount a small disk"))
struct SmallDiskTests {
  @Test("ends with 74 wherever the space runs out, and the same command finishes it once there is space")
  func full() async throws {
    let place = try await Workplace(["--apps", "8"])
    let disk = try Disk(in: place.folder, size: "3m")
    defer { disk.unmount() }
    let environment = ["RELATCH_VAULT": disk.path + "/vault"]
    try FileManager.default.copyItem(atPath: place.vault.path, toPath: disk.path + "/vault")
    // The reserve is not meant for this, and takes a third of so small a disk.
    try FileManager.default.removeItem(atPath: disk.path + "/vault/reserve")
    var codes: [Int32] = []
    for (index, left) in [0, 3, 10, 20, 30, 45, 60, 400].enumerated() {
      let (name, app) = ("app\(index + 1)", index + 1)
      try await place.add(name, app: app, environment: environment)
      // A log that is not there yet, at the size that it must reach, is what needs space.
      try disk.fill(leaving: left)
      let failed = try await place.relatch("rotate", name, "--quiet", environment: environment)
      codes.append(failed.code)
      if failed.code != 0 { expectFailure(failed, 74) }
      disk.free()
      let healed = try await place.relatch("rotate", name, environment: environment)
      #expect(healed.code == (failed.code == 0 ? 75 : 0), "\(left) pages: \(healed.errorText)")
      let primary = try await place.org.primary(ofApp: app)
      #expect(try await place.pair(name, environment: environment) == primary, "\(left) pages")
      #expect(try await place.org.grants(primary), "\(left) pages")
      let asked = try await place.org.requests(ofApp: place.org.apps()[app].identifier)
      for method in ["POST", "PATCH"] {
        #expect(asked.count { $0.method == method && $0.path.contains("/staged") && $0.acted } == 1, "\(left) pages")
      }
    }
    print("codes of rotations on a full disk: \(codes)")
    #expect(codes.count { $0 == 74 } >= 3 && codes.last == 0, "\(codes)")
    #expect(try await place.relatch("log", "verify", environment: environment).code == 0)
  }

  @Test("makes no request to the org while nothing can be written, and rotates once it can")
  func readOnly() async throws {
    let place = try await Workplace()
    let disk = try Disk(in: place.folder, size: "2m")
    defer { disk.unmount() }
    let environment = ["RELATCH_VAULT": disk.path + "/vault"]
    try FileManager.default.copyItem(atPath: place.vault.path, toPath: disk.path + "/vault")
    try await place.add("crm", environment: environment)
    try disk.remount(readOnly: true)
    try await place.org.forgetRequests()
    expectFailure(try await place.relatch("rotate", "crm", "--quiet", environment: environment), 74)
    #expect(try await place.org.requests().isEmpty)
    #expect(try await place.relatch("status", "crm", environment: environment).code == 0, "what needs no entry is read")
    expectFailure(try await place.relatch("read", "crm", environment: environment), 74)
    try disk.remount(readOnly: false)
    #expect(try await place.relatch("rotate", "crm", environment: environment).code == 0)
    #expect(try await place.pair("crm", environment: environment) == place.org.primary())
  }
}

/// A small file system in memory.
struct Disk {
  let path: String

  /// Cancels the test if it cannot be mounted.
  init(in folder: URL, size: String) throws {
    path = folder.path + "/disk"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    guard mount("tmpfs", path, "tmpfs", 0, "size=\(size)") == 0 else {
      try Test.cancel("this machine does not let root mount a small disk")
    }
  }

  func unmount() { umount2(path, Int32(MNT_DETACH)) }

  func remount(readOnly: Bool) throws {
    let flags = UInt(MS_REMOUNT) | (readOnly ? UInt(MS_RDONLY) : 0)
    try #require(mount(nil, path, nil, flags, nil) == 0, "\(String(cString: strerror(errno)))")
  }

  /// Takes all space except so many pages.
  func fill(leaving pages: Int) throws {
    var state = statvfs()
    try #require(statvfs(path, &state) == 0)
    let descriptor = open(path + "/ballast", O_WRONLY | O_CREAT, 0o600)
    defer { close(descriptor) }
    let taken = Int(state.f_bfree) - pages
    try #require(taken > 0 && posix_fallocate(descriptor, 0, taken * Int(state.f_bsize)) == 0)
  }

  func free() { unlink(path + "/ballast") }
}

/// One way for the disk to fail.
struct DiskFault: Sendable, CustomStringConvertible {
  let call: String
  let error: String
  /// Which call of its thread is the first to fail.
  let first: Int
  let isLasting: Bool

  var description: String { "\(call):error=\(error):when=\(first)\(isLasting ? "+" : "")" }
}

/// A vault to be copied for each fault, and an org with an app for each.
struct DiskBench {
  private static let maximum = 500
  /// How many faults are tried at once.
  private static let width = 4

  private let place: Workplace

  init() async throws {
    place = try await Workplace(["--apps", "\(Self.maximum)"])
    // Makes the log so long that it is moved into the database in the middle of the rotation.
    let log = place.vault.path + "/vault.db-wal"
    for _ in 1...60 {
      let size = try FileManager.default.attributesOfItem(atPath: log)[.size] as? Int ?? 0
      if size > 80 * 4120 { break }
      #expect(try await place.relatch("policy", "admin", "grace=24h").code == 0)
    }
  }

  /// How often a rotation makes each call that changes the vault's files; nil if processes cannot be traced here.
  func calls() async throws -> [String: Int]? {
    let probe = try await place.run(Programs.strace ?? "", ["-f", "-o", "/dev/null", "/bin/true"])
    guard probe.code == 0 else {
      print("skipped: processes cannot be traced here: \(probe.errorText)")
      return nil
    }
    let (name, environment) = try await prepare(1)
    let trace = place.folder.path + "/trace"
    let all = [
      "write", "pwrite64", "pwritev", "fsync", "fdatasync", "ftruncate", "fallocate", "unlink", "rename", "openat",
    ]
    let run = try await place.run(
      Programs.strace ?? "", arguments(environment, "-o", trace, "-e", "trace=\(all.joined(separator: ","))") + [name],
      environment: environment)
    #expect(run.code == 0, "\(run.errorText)")
    var counts: [String: [Substring: Int]] = [:]
    for line in try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count > 1, let call = words[1].split(separator: "(").first.map(String.init), all.contains(call)
      else { continue }
      counts[call, default: [:]][words[0], default: 0] += 1
    }
    // Calls are counted for each thread separately.
    return counts.mapValues { $0.values.max() ?? 0 }
  }

  /// The exit code that each fault led to.
  func run(_ faults: [DiskFault]) async throws -> [Int32] {
    try #require(faults.count + 1 < Self.maximum)
    return try await withThrowingTaskGroup(of: Int32.self) { group in
      var codes: [Int32] = []
      for (index, fault) in faults.enumerated() {
        if index >= Self.width { codes.append(try await #require(group.next())) }
        group.addTask { try await at(fault, app: index + 2) }
      }
      for try await code in group { codes.append(code) }
      return codes
    }
  }

  private func prepare(_ app: Int) async throws -> (name: String, environment: [String: String]) {
    // Many copies of one vault are used side by side, each as if by its own user.
    let environment = [
      "RELATCH_VAULT": place.folder.path + "/vault-\(app)", "XDG_STATE_HOME": place.folder.path + "/state-\(app)",
    ]
    try FileManager.default.copyItem(atPath: place.vault.path, toPath: environment["RELATCH_VAULT"] ?? "")
    try await place.add("app\(app)", app: app, environment: environment)
    return ("app\(app)", environment)
  }

  /// The arguments with which `strace` runs a rotation and sees only calls on the vault's files.
  private func arguments(_ environment: [String: String], _ options: String...) -> [String] {
    let database = (environment["RELATCH_VAULT"] ?? "") + "/vault.db"
    return ["-f", "--seccomp-bpf", "-P", database, "-P", database + "-wal", "-P", database + "-shm"] + options
      + [Programs.relatch, "rotate", "--quiet"]
  }

  private func at(_ fault: DiskFault, app: Int) async throws -> Int32 {
    let (name, environment) = try await prepare(app)
    func relatch(_ arguments: String...) async throws -> Outcome {
      try await place.run(Programs.relatch, arguments, environment: environment)
    }
    func events() async throws -> [String] {
      try await relatch("log", "list", "--json", "--identity", "/nonexistent").objects().compactMap {
        $0["event"] as? String
      }
    }
    let failed = try await place.run(
      Programs.strace ?? "",
      arguments(environment, "-o", "/dev/null", "-e", "trace=\(fault.call)", "-e", "inject=\(fault)") + [name],
      environment: environment)
    if failed.code != 0 { expectFailure(failed, 74) }

    // Every request to the org that changes something has its intent in the log.
    let identifier = try await place.org.apps()[app].identifier
    let asked = try await place.org.requests(ofApp: identifier).filter { $0.path.contains("/staged") }
    let known = try await events()
    for (method, step) in [("POST", "stage"), ("PATCH", "promote")] {
      let intents = known.count { $0 == "rotation.\(step).intended" }
      let requests = asked.count { $0.method == method }
      #expect(requests <= intents, "\(fault): \(requests) \(method), \(intents) intents")
    }
    let before = try await place.pair(name, environment: environment)
    let held = try #require(before, "\(fault): the active pair is readable")
    #expect(try await place.org.accepts(held), "\(fault)")

    let healed = try await relatch("rotate", name)
    let wasDone = known.contains("rotation.verified") && healed.errorText.contains("is left alone until")
    #expect(healed.code == 0 || healed.code == 75 && wasDone, "\(fault): \(failed.errorText)\(healed.errorText)")
    let primary = try await place.org.primary(ofApp: app)
    #expect(try await place.pair(name, environment: environment) == primary, "\(fault)")
    #expect(try await place.org.accepts(primary), "\(fault)")
    let all = try await place.org.requests(ofApp: identifier).filter { $0.path.contains("/staged") && $0.acted }
    for method in ["POST", "PATCH"] { #expect(all.count { $0.method == method } == 1, "\(fault): \(method)") }
    #expect(try await events().count { $0 == "rotation.promoted" } == 1, "\(fault)")
    #expect(try await relatch("log", "verify").code == 0, "\(fault)")
    try? FileManager.default.removeItem(atPath: environment["RELATCH_VAULT"] ?? "")
    return failed.code
  }
}
