import Foundation
import Testing

/// What others find of a run, during it and after it.
@Suite(
  "A run keeps its memory and files to itself",
  .enabled(if: geteuid() == 0, "needs root, to act as other users and to mount"))
struct HygieneTests {
  /// The user `nobody`, as Debian numbers it.
  private static let nobody: UInt32 = 65_534

  @Test("Another process of the same user cannot read it or attach to it, and it leaves no core")
  func sameUser() async throws {
    let place = try await Workplace(addsAdmin: false)
    let home = place.folder.path + "/home"
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    try #require(chown(home, Self.nobody, Self.nobody) == 0)
    let own = ["HOME": home, "RELATCH_VAULT": home + "/vault", "RELATCH_IDENTITY": home + "/identity"]
    let acting = [
      "--reuid=\(Self.nobody)", "--regid=\(Self.nobody)", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
    ]
    func start(_ words: [String], stdin: String? = nil) throws -> Running {
      try place.start(try #require(Programs.setpriv), arguments: acting + words, stdin: stdin, environment: own)
    }
    let probe = try await start([Programs.relatch, "--version"]).outcome()
    guard probe.code == 0 else { return print("skipped: nobody cannot run the program here: \(probe.errorText)") }

    #expect(try await start([Programs.relatch, "init", "--no-passphrase"]).outcome().code == 0)
    let apps = try await place.org.apps()
    for (name, app) in zip(["admin", "crm"], apps) {
      let pair = try #require(app.consumers.first?.primary)
      let added = try await start(
        [
          Programs.relatch, "add", name, "--provider", "salesforce", "--set", "url=\(place.org.url)", "--set",
          "app=\(app.identifier)", "--admin", name == "admin" ? "self" : "admin",
        ], stdin: pair.document
      ).outcome()
      #expect(added.code == 0, "\(added.errorText)")
    }
    try await place.org.fault("slow", "POST", "*/staged", count: 1, ["seconds": 60])
    let run = try start([Programs.relatch, "rotate", "crm"])
    defer { run.send(SIGKILL) }
    try await run.wait("it asks for a pair") { _, errors in errors.contains("asking for a new pair") }
    let careless = try start(["/bin/sleep", "60"])
    defer { careless.send(SIGKILL) }
    while try String(decoding: procFile("/proc/\(careless.pid)/comm"), as: UTF8.self) != "sleep\n" {
      try await Task.sleep(for: .milliseconds(10))
    }

    for name in ["mem", "environ", "maps", "smaps", "pagemap", "auxv"] {
      func opens(_ pid: Int32) async throws -> Bool {
        try await start(["/bin/sh", "-c", #": <"$0""#, "/proc/\(pid)/\(name)"]).outcome().code == 0
      }
      #expect(try await opens(careless.pid), "\(name): of any other program it is open")
      #expect(try await !opens(run.pid), "\(name)")
    }
    for name in ["exe", "cwd"] {
      let careless = try await start(["/bin/readlink", "/proc/\(careless.pid)/\(name)"]).outcome()
      let ours = try await start(["/bin/readlink", "/proc/\(run.pid)/\(name)"]).outcome()
      #expect(careless.code == 0 && ours.code != 0, "\(name)")
    }
    #expect(try await start(["/bin/ls", "/proc/\(careless.pid)/fd"]).outcome().code == 0)
    #expect(try await start(["/bin/ls", "/proc/\(run.pid)/fd"]).outcome().code != 0)
    if let strace = Programs.strace {
      let attaching = try await start([strace, "-p", "\(run.pid)"]).outcome()
      #expect(attaching.code != 0 && attaching.errorText.contains("Operation not permitted"), "\(attaching.errorText)")
    }
    let limits = String(decoding: try procFile("/proc/\(run.pid)/limits"), as: UTF8.self)
    let core = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") })
    #expect(core.split(separator: " ").filter { $0 == "0" }.count == 2, "\(core)")
    let status = String(decoding: try procFile("/proc/\(run.pid)/status"), as: UTF8.self)
    #expect(
      status.contains("\nCoreDumping:\t0\n") && status.contains("\nVmLck:\t") && !status.contains("VmLck:\t       0"))
  }

  @Test("Nothing is left on the disk that held the vault, nor where files were removed")
  func removedFiles() async throws {
    let place = try await Workplace(addsAdmin: false)
    let image = place.folder.path + "/image"
    let disk = place.folder.path + "/disk"
    try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
    try #require(FileManager.default.createFile(atPath: image, contents: nil))
    try #require(truncate(image, 24 << 20) == 0)
    let made = try await place.run(Programs.mkfs ?? "/bin/false", ["-q", image])
    let mounted = try await place.run(Programs.mount ?? "/bin/false", ["-o", "loop", image, disk])
    guard made.code == 0, mounted.code == 0 else {
      return print("skipped: no file system can be mounted here: \(made.errorText)\(mounted.errorText)")
    }
    // Whatever fails, nothing stays mounted.
    defer { umount2(disk, Int32(MNT_DETACH)) }
    let (vault, identity) = (disk + "/vault", disk + "/identity")
    let environment = ["RELATCH_VAULT": vault, "XDG_STATE_HOME": disk + "/state", "TMPDIR": disk]

    var secrets = try MemoryWatch.keys(of: place.identity.path, opening: nil)
    func learnPairs() async throws {
      for pair in try await place.org.pairs() {
        secrets["client_id of \(pair.key.prefix(9))"] = Data(pair.key.utf8)
        secrets["client_secret of \(pair.key.prefix(9))"] = Data(pair.secret.utf8)
      }
    }
    // A file that is removed but not overwritten must be found; otherwise the rest would prove nothing.
    let marker = Data(UUID().uuidString.utf8)
    secrets["marker"] = marker
    let planted = open(disk + "/planted", O_WRONLY | O_CREAT, 0o600)
    #expect(marker.withUnsafeBytes { write(planted, $0.baseAddress, $0.count) } == marker.count && fsync(planted) == 0)
    close(planted)
    unlink(disk + "/planted")

    try await learnPairs()
    #expect(try await place.relatch("init", environment: environment).code == 0)
    secrets.merge(try MemoryWatch.keys(of: place.identity.path, opening: vault)) { $1 }
    try await place.add("admin", app: nil, environment: environment)
    try await place.add("crm", environment: environment)
    for verb in ["rotate", "retire", "rotate"] {
      let run = try await place.relatch(verb, "crm", environment: environment)
      #expect(run.code == 0, "\(verb): \(run.errorText)")
      try await learnPairs()
    }
    #expect(try await place.relatch("read", "crm", environment: environment).code == 0)
    // A key that was in the clear until it got a passphrase.
    let other = ["RELATCH_IDENTITY": identity]
    #expect(try await place.relatch("identity", "new", "--no-passphrase", environment: other).code == 0)
    for (name, secret) in try MemoryWatch.keys(of: identity, opening: nil) { secrets["other \(name)"] = secret }
    let passphrase = UUID().uuidString
    secrets["passphrase"] = Data(passphrase.utf8)
    let protected = try await place.run(
      Programs.relatch, ["identity", "protect", "--passphrase-fd", "0"], stdin: passphrase + "\n", environment: other)
    #expect(protected.code == 0, "\(protected.errorText)")

    #expect(secrets.count > 15)
    let search = MemorySearch(SecretSearch(secrets))
    #expect(try search.findings(below: URL(fileURLWithPath: disk)) == [])
    #expect(try await place.run(Programs.umount ?? "/bin/false", [disk]).code == 0)
    let left = search.findings(in: try Data(contentsOf: URL(fileURLWithPath: image)))
    #expect(left == ["marker as plain"])
  }
}
