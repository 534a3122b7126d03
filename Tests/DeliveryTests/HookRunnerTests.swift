import Foundation
import Glibc
import Rotation
import Sodium
import Synchronization
import Testing
import Vault

@testable import Delivery

@Suite("A hook")
struct HookRunnerTests {
  /// Time that passes once something has happened: the time limit, and the patience after it.
  struct Time: Sendable {
    var limit: @Sendable () -> Bool = { false }
    var patience: @Sendable () -> Bool = { false }

    @Sendable func sleep(_ duration: Duration) async throws {
      let isOver = duration == HookRunner.patience ? patience : limit
      while !isOver() { try await Task.sleep(for: .milliseconds(5)) }
    }
  }

  static let variables = [
    "RELATCH_CREDENTIAL": "crm", "RELATCH_EVENT": "promoted", "RELATCH_VERSION": "2", "RELATCH_PREVIOUS_VERSION": "1",
  ]

  private func run(
    _ program: [String], _ pair: Pair? = nil, time: Time = Time(), mask: UInt32 = 0o022, limit: Int = 20,
    keepAlive: @escaping KeepAlive = {}
  ) async throws {
    let document = try pair.map { SharedSecret(try $0.document()) }
    try await HookRunner(environment: ["PATH": "/usr/bin:/bin", "HOME": "/root"], mask: mask, sleep: time.sleep).run(
      HookSettings(occasion: .promoted, arguments: program, timeLimit: .seconds(limit)), Self.variables,
      input: document, masking: pair.map { [$0] } ?? [], keepAlive: keepAlive)
  }

  private func error(
    _ program: [String], _ pair: Pair? = nil, time: Time = Time(), keepAlive: @escaping KeepAlive = {}
  ) async -> DeliveryError? {
    do {
      try await run(program, pair, time: time, keepAlive: keepAlive)
      return nil
    } catch { return error as? DeliveryError }
  }

  private func exists(_ path: String) -> @Sendable () -> Bool { { access(path, F_OK) == 0 } }

  /// Whether a process runs; a zombie does not.
  private func isRunning(_ pid: String) -> Bool {
    guard let status = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
    return !status.contains(") Z ")
  }

  private func waitUntil(_ what: String, _ condition: () throws -> Bool) async throws {
    for _ in 1...4000 {
      if try condition() { return }
      try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("waited in vain: \(what)")
  }

  @Test func `gets the pair on standard input, and neither in its arguments nor in its environment`() async throws {
    let folder = try Folder()
    let script = try folder.script(
      """
      cd "${0%/*}"; cat > input; env | sort > environment; tr '\\0' '\\n' < /proc/$$/cmdline > arguments
      grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status > signals; ls /proc/$$/fd > descriptors
      cut -d' ' -f1,5 /proc/$$/stat > group; umask > mask
      """)
    let planted = fcntl(0, F_DUPFD, 200)
    defer { close(planted) }
    #expect(planted == 200)
    try await run([script, "a b", "", "$HOME;`x`"], pair())
    let document = try pair().document()
    #expect(try folder.text("input") == text(document))
    #expect(try folder.text("arguments").hasSuffix("\na b\n\n$HOME;`x`\n"))
    let environment = try folder.text("environment").split(separator: "\n").map(String.init)
    let ours = environment.filter {
      !$0.hasPrefix("PWD=") && !$0.hasPrefix("OLDPWD=") && !$0.hasPrefix("_=") && !$0.hasPrefix("SHLVL=")
    }
    #expect(
      ours == [
        "HOME=/root", "PATH=/usr/bin:/bin", "RELATCH_CREDENTIAL=crm", "RELATCH_EVENT=promoted",
        "RELATCH_PREVIOUS_VERSION=1", "RELATCH_VERSION=2",
      ])
    for line in try folder.text("signals").split(separator: "\n")
    where line.hasPrefix("SigBlk") || line.hasPrefix("SigIgn") {
      // The C library keeps signals 32 and 33 for itself.
      let signals = try #require(UInt64(line.suffix(16), radix: 16)) & ~(3 << 31)
      #expect(signals == 0, "\(line)")
    }
    // The shell has its own from 10 upwards.
    let descriptors = try folder.text("descriptors").split(separator: "\n").compactMap { Int($0) }
    #expect(descriptors.filter { $0 < 10 }.sorted() == [0, 1, 2] && !descriptors.contains(200), "\(descriptors)")
    let group = try folder.text("group").split(separator: " ").map { $0.trimmingCharacters(in: .newlines) }
    #expect(group.count == 2 && group[0] == group[1], "\(group)")
    #expect(try folder.text("mask").hasSuffix("022\n"))
  }

  @Test func `that ignores its input, closes it, or takes none of it does no harm`() async throws {
    let folder = try Folder()
    let large = try pair(String(repeating: "i", count: 4096), String(repeating: "\"", count: 4096))
    for lines in ["exit 0", "exec 0<&-; sleep 0.1", "head -c 1 > /dev/null", "sleep 0.1; cat > /dev/null"] {
      #expect(await error([try folder.script(lines)], large) == nil, "\(lines)")
    }
    // Without a pair its input is empty, and nobody waits for it.
    #expect(await error([try folder.script("test -z \"$(cat)\"")]) == nil)
  }

  @Test func `that fails says how, with the end of its output masked`() async throws {
    let folder = try Folder()
    let failed = await error(
      [try folder.script("echo got:; cat; echo; cat /nowhere >&2; echo over; exit 3")], try pair())
    #expect(failed?.code == .failed && failed?.description == "it exited with 3")
    let said = failed?.said ?? ""
    #expect(said.hasPrefix(#"got: {"client_id":"[masked]","client_secret":"[masked]"} cat: "#), "\(said)")
    #expect(said.hasSuffix(" over"), "\(said)")
    #expect(failed?.description.contains("masked") == false)
    let killed = await error([try folder.script("kill -9 $$")])
    #expect(killed?.code == .failed && killed?.description == "signal 9 ended it")
  }

  @Test func `that dribbles the secret out byte by byte, or in base64, is masked, too`() async throws {
    let folder = try Folder()
    let dribble = "s=$(cat); while [ -n \"$s\" ]; do r=${s#?}; printf %s \"${s%\"$r\"}\"; s=$r; done; exit 1"
    let word = "dribbled+secret/word"
    #expect(
      await error([try folder.script(dribble)], try pair("some-client", word))?.said
        == #"{"client_id":"[masked]","client_secret":"[masked]"}"#)
    let coded = await error([try folder.script("base64 -w 20; exit 1")], try pair("some-client", word))?.said ?? ""
    #expect(coded.contains("[masked]"))
    let whole = Data(#"{"client_id":"some-client","client_secret":"dribbled+secret/word"}"#.utf8).base64EncodedString()
    #expect(!coded.replacingOccurrences(of: " ", with: "").contains(whole.dropFirst(60).prefix(12)), "\(coded)")
  }

  @Test func `that says much, or never stops, is listened to and not waited for`() async throws {
    let folder = try Folder()
    let much = await error(
      [try folder.script("cat; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1")], try pair())
    #expect(much?.said.hasSuffix("x the end") == true && (much?.said.count ?? 0) < 700)
    let started = folder.path + "/started"
    let endless = await error([try folder.script("touch \(started); exec yes")], time: Time(limit: exists(started)))
    #expect(endless?.code == .timedOut)
  }

  @Test func `whose time is over is told to end, and may end in order`() async throws {
    let folder = try Folder()
    let (started, ended) = (folder.path + "/started", folder.path + "/ended")
    let script = try folder.script("trap 'touch \(ended); exit 0' TERM; touch \(started); while :; do sleep 0.05; done")
    let failed = await error([script], try pair(), time: Time(limit: exists(started)))
    #expect(failed?.code == .timedOut && failed?.description.contains("20s") == true)
    #expect(exists(ended)())
  }

  @Test func `that does not want to end is killed with all it started`() async throws {
    let folder = try Folder()
    let started = folder.path + "/started"
    // Ten children, each of which starts more; none reacts to SIGTERM.
    let script = try folder.script(
      """
      trap '' TERM
      : > \(folder.path)/pids
      n=0
      while [ $n -lt 10 ]; do
        sh -c 'trap "" TERM; sleep 600 & echo $! >> \(folder.path)/pids; echo $$ >> \(folder.path)/pids; wait' &
        n=$((n+1))
      done
      while [ $(wc -l < \(folder.path)/pids) -lt 20 ]; do sleep 0.02; done
      touch \(started); wait; sleep 600
      """)
    let failed = await error([script], time: Time(limit: exists(started), patience: { true }))
    #expect(failed?.code == .timedOut)
    let pids = try folder.text("pids").split(separator: "\n").map(String.init)
    #expect(pids.count == 20)
    try await waitUntil("all are gone") { !pids.contains(where: isRunning) }
  }

  @Test func `that ends when told to is followed by what it started, which does not react`() async throws {
    let folder = try Folder()
    let started = folder.path + "/started"
    let script = try folder.script(
      """
      sh -c 'trap "" TERM; echo $$ > \(folder.path)/pid; touch \(started); while :; do sleep 600; done' &
      trap 'exit 1' TERM
      while :; do wait; done
      """)
    let failed = await error([script], time: Time(limit: exists(started)))
    #expect(failed?.code == .timedOut)
    let pid = try folder.text("pid").trimmingCharacters(in: .newlines)
    try await waitUntil("it is gone") { !isRunning(pid) }
  }

  @Test func `that leaves a daemon with its output open is over when it ends`() async throws {
    let folder = try Folder()
    let script = try folder.script("echo before; sleep 600 & echo $! > \(folder.path)/pid; exit 1")
    let failed = await error([script])
    #expect(failed?.code == .failed && failed?.said == "before")
    let pid = try folder.text("pid").trimmingCharacters(in: .newlines)
    // That is its own affair: it keeps running.
    #expect(isRunning(pid))
    if let number = pid_t(pid) { kill(number, SIGKILL) }
  }

  @Test func `tells now and then that it still runs, and ends with whoever waits for it`() async throws {
    struct Lost: Error {}
    let folder = try Folder()
    let calls = Mutex(0)
    let script = try folder.script("echo $$ > \(folder.path)/pid; sleep 600")
    let runner = HookRunner(environment: ["PATH": "/usr/bin:/bin"], mask: 0o022) { duration in
      // The patience passes at once; slices of the time limit pass once there is something to kill.
      while duration != HookRunner.patience, access(folder.path + "/pid", F_OK) != 0 {
        try await Task.sleep(for: .milliseconds(5))
      }
    }
    let hook = HookSettings(occasion: .before, arguments: [script], timeLimit: .seconds(600))
    await #expect(throws: Lost.self) {
      try await runner.run(hook, [:], input: nil, masking: []) {
        let count = calls.withLock { count in
          count += 1
          return count
        }
        if count == 3 { throw Lost() }
      }
    }
    let pid = try folder.text("pid").trimmingCharacters(in: .newlines)
    #expect(!pid.isEmpty)
    try await waitUntil("it is gone") { !isRunning(pid) }
  }

  @Test func `is killed when its run is cancelled`() async throws {
    let folder = try Folder()
    let script = try folder.script("trap '' TERM; echo $$ > \(folder.path)/pid; while :; do sleep 600; done")
    let task = Task { await error([script], time: Time(patience: { true })) }
    try await waitUntil("it has started") { try folder.names().contains("pid") && !folder.text("pid").isEmpty }
    task.cancel()
    _ = await task.value
    let pid = try folder.text("pid").trimmingCharacters(in: .newlines)
    try await waitUntil("it is gone") { !isRunning(pid) }
  }

  @Test func `that is no program is refused, before and at its start`() async throws {
    let folder = try Folder()
    try folder.write("plain", "echo", mode: 0o644)
    try folder.write("open", "#!/bin/sh\n", mode: 0o777)
    try folder.write("empty", "\u{1}\u{2}", mode: 0o755)
    try folder.write("lost", "#!/nowhere/sh\n", mode: 0o755)
    let runner = HookRunner(environment: [:], mask: 0, sleep: Time().sleep)
    for name in ["plain", "open", "absent", "."] {
      let hook = HookSettings(occasion: .before, arguments: ["\(folder.path)/\(name)"])
      #expect(deliveryError { try runner.check(hook) }?.code == .unusable, "\(name)")
      #expect(await error(hook.arguments)?.code == .unusable, "\(name)")
    }
    for name in ["empty", "lost"] {
      #expect(await error(["\(folder.path)/\(name)"])?.code == .cannotStart, "\(name)")
    }
    #expect(chmod(folder.path, 0o777) == 0)
    let hook = HookSettings(occasion: .before, arguments: [try folder.script("exit 0")])
    #expect(deliveryError { try runner.check(hook) }?.code == .unusable)
  }

  @Test(.enabled(if: geteuid() == 0, "needs root to act for another user"))
  func `is followed through links of this user and of root, each in a folder that is to be trusted`() async throws {
    let folder = try Folder()
    for name in ["ours", "open", "sticky"] { #expect(mkdir("\(folder.path)/\(name)", 0o755) == 0) }
    for name in ["ours/program", "open/program"] { try folder.write(name, "#!/bin/sh\nexit 0\n", mode: 0o755) }
    for (link, target) in [
      ("ours/relative", "../ours/program"), ("ours/twice", "\(folder.path)/ours/relative"), ("ours/loop", "loop"),
      ("ours/open", "../open/program"), ("sticky/planted", "\(folder.path)/ours/program"),
      ("ours/planted", "../sticky/planted"), ("ours/dangling", "absent"),
    ] { #expect(symlink(target, "\(folder.path)/\(link)") == 0, "\(link)") }
    #expect(chmod("\(folder.path)/open", 0o777) == 0 && chmod("\(folder.path)/sticky", 0o777 | S_ISVTX) == 0)
    #expect(lchown("\(folder.path)/sticky/planted", 1234, 1234) == 0)
    for name in ["relative", "twice"] { #expect(await error(["\(folder.path)/ours/\(name)"]) == nil, "\(name)") }
    for name in ["ours/loop", "ours/open", "ours/planted", "ours/dangling", "sticky/planted"] {
      #expect(await error(["\(folder.path)/\(name)"])?.code == .unusable, "\(name)")
    }
  }

  @Test func `leaves no descriptor behind, whether it works, fails or is none`() async throws {
    let folder = try Folder()
    let script = try folder.script("cat > /dev/null; exit $1")
    try folder.write("empty", "\u{1}\u{2}", mode: 0o755)
    await #expect(processExitsWith: .success) { [script = script as String, empty = folder.path + "/empty" as String] in
      func open() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
      let runner = HookRunner(environment: ["PATH": "/usr/bin:/bin"], mask: 0o022) { _ in
        while true { try await Task.sleep(for: .seconds(60)) }
      }
      var counts: [Int] = []
      for _ in 1...20 {
        for words in [[script, "0"], [script, "1"], [empty]] {
          let document = try pair().document()
          try? await runner.run(
            HookSettings(occasion: .promoted, arguments: words), [:], input: SharedSecret(document), masking: []
          ) {}
        }
        counts.append(try open())
      }
      // The thread that waits for the end may hold its pipe a moment longer.
      for _ in 1...1000 where try open() > counts[0] { try await Task.sleep(for: .milliseconds(5)) }
      #expect(try open() <= counts[0])
    }
  }
}
