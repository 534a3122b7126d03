import Foundation
import Testing

/// What root finds in the memory of a running `relatch`, which is stopped at each call that reads, writes, sends,
/// receives or syncs, and when it exits.
@Suite(
  "Secrets are only in locked memory", .serialized,
  .enabled(if: Programs.strace != nil && geteuid() == 0, "needs strace, and root to read another's memory"))
struct MemoryTests {
  @Test("while a pair is added, read, rotated and retired, except in libcurl while it sends or receives")
  func lifeOfAPair() async throws {
    let watch = try await MemoryWatch(["--apps", "1", "--reading", "secretAlphabet=reserved"])
    guard try await watch.canTrace() else { return }
    let place = watch.place
    let pair = try await place.org.primary()
    let app = try await place.org.apps()[1].identifier
    let keys: Set = ["vault key", "identity's scalar"]

    let added = try await watch.run(
      "add", "crm", "--provider", "salesforce", "--set", "url=\(place.org.url)", "--set", "app=\(app)", "--admin",
      "admin", "--policy", "propagation=0s", stdin: pair.document)
    #expect(added.inGuardedPages.isSuperset(of: keys.union(["client_id 1", "client_secret 1"])))
    #expect(added.inTransit == [])
    let read = try await watch.run("read", "crm")
    #expect(read.inGuardedPages.isSuperset(of: keys.union(["client_id 1", "client_secret 1"])))
    #expect(read.inTransit == [])

    // To oneself: sealed and opened in the same place.
    let card = place.folder.appendingPathComponent("card")
    try (try await place.relatch("identity", "show").output).write(to: card)
    // To be sealed, it is opened and wiped again between two moments.
    let sent = try await watch.run("handoff", "send", "crm", "--to", card.path)
    #expect(sent.inGuardedPages.isSuperset(of: keys.union(["signing seed"])))
    #expect(sent.inTransit == [])
    let file = place.folder.path + "/handoff.age"
    #expect(try await place.relatch("handoff", "send", "crm", "--to", card.path, "-o", file).code == 0)
    // With another address, because at that one crm has the pair already.
    let opened = try await watch.run(
      "handoff", "open", file, "--as", "crm2", "--admin", "self", "--from", card.path, "--set",
      "url=https://example.my.salesforce.com")
    #expect(opened.inGuardedPages.isSuperset(of: keys.union(["client_id 1", "client_secret 1"])))
    #expect(opened.inTransit == [])

    let rotated = try await watch.run("rotate", "crm")
    // The administrator's pair, with which tokens are requested, the active pair, and the new one.
    let pairs = (0...2).flatMap { ["client_id \($0)", "client_secret \($0)"] }
    #expect(rotated.inGuardedPages.isSuperset(of: keys.union(pairs).union(["token 0", "signing seed"])))
    #expect(rotated.inTransit.isSuperset(of: ["client_secret 0", "client_secret 2", "token 0"]))
    let retired = try await watch.run("retire", "crm")
    #expect(retired.inGuardedPages.isSuperset(of: keys.union(pairs)))
    #expect(retired.inTransit.isSuperset(of: ["client_secret 0", "client_secret 1", "client_secret 2"]))
  }

  @Test("while an identity gets a passphrase and is unlocked with it")
  func passphrase() async throws {
    let watch = try await MemoryWatch()
    guard try await watch.canTrace() else { return }
    let passphrase = UUID().uuidString
    let file = watch.place.folder.appendingPathComponent("passphrase")
    try Data((passphrase + "\n").utf8).write(to: file)
    watch.add("passphrase", Data(passphrase.utf8))
    let protected = try await watch.run("identity", "protect", "--passphrase-fd", "3", descriptor3: file)
    #expect(protected.inGuardedPages.isSuperset(of: ["identity", "identity's scalar", "passphrase"]))
    #expect(protected.inTransit == [])
    let read = try await watch.run("read", "admin", "--passphrase-fd", "3", descriptor3: file)
    #expect(read.inGuardedPages.isSuperset(of: ["identity's scalar", "vault key", "client_secret 0"]))
    #expect(read.inTransit == [])

    let probe = try await watch.place.relatch("identity", "lock")
    guard probe.code == 0 else {
      return print("skipped: the kernel's keyring cannot be used here: \(probe.errorText)")
    }
    let unlocked = try await watch.run("identity", "unlock", "--passphrase-fd", "3", descriptor3: file)
    #expect(unlocked.inGuardedPages.contains("passphrase"))
    #expect(unlocked.inTransit == [])
    let readAgain = try await watch.run("read", "admin")
    #expect(readAgain.inGuardedPages.isSuperset(of: ["identity's scalar", "vault key", "client_secret 0"]))
    #expect(try await watch.place.relatch("identity", "lock").outputText.contains("locked again"))
  }
}

/// What a careless line of code would leave, and whether the search finds it; otherwise finding nothing would prove
/// nothing.
@Suite("The search of memory finds", .enabled(if: geteuid() == 0, "needs root to read another's memory"))
struct PlantedCopyTests {
  @Test("a copy of a pair's secret that is planted in a process", arguments: PlantedCopy.allCases)
  func planted(_ copy: PlantedCopy) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("planted-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let secret = UUID().uuidString + UUID().uuidString
    try Data(#"{"client_id":"somebody","client_secret":"\#(secret)"}"#.utf8)
      .write(to: folder.appendingPathComponent("pair"))
    let path = folder.path
    async let ending: Void = Self.hold(copy, path)

    var pid: Int32?
    for _ in 1...3000 where pid == nil {
      try await Task.sleep(for: .milliseconds(10))
      pid = try? Int32(String(contentsOfFile: path + "/pid", encoding: .utf8))
    }
    let holder = try #require(pid)
    defer { kill(holder, SIGKILL) }
    let hits = try ProcessMemory(of: holder).hits(of: MemorySearch(SecretSearch(["it": Data(secret.utf8)])))
    #expect(hits.contains { $0.place == .guarded && $0.form == "plain" })
    let loose = hits.filter { $0.place != .guarded }
    let files = try openFiles(of: holder).filter { $0.hasSuffix(" (deleted)") && $0.hasPrefix(path) }
    switch copy {
    case .nothing: #expect(loose.isEmpty && files.isEmpty)
    case .string, .freedString:
      #expect(loose.contains { $0.place == .heap && $0.form == "plain" } && files.isEmpty, "\(loose)")
    case .base64: #expect(loose.contains { $0.place == .heap && $0.form.hasPrefix("base64") }, "\(loose)")
    case .stack: #expect(loose.contains { $0.place == .stack && $0.form == "plain" }, "\(loose)")
    case .deletedFile: #expect(loose.isEmpty && files.count == 1, "\(files)")
    }
    kill(holder, SIGKILL)
    await ending
  }

  /// Runs `copy` in a process of its own until it is killed.
  private static func hold(_ copy: PlantedCopy, _ path: String) async {
    await #expect(processExitsWith: .signal(SIGKILL)) { [copy = copy as PlantedCopy, path = path as String] in
      try copy.hold(in: path)
    }
  }
}
