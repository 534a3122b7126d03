import Foundation
import Testing

@Suite("exec runs a program as if it had been run directly, with a pair in its environment")
struct ExecTests {
  /// The ways to run each test's program: in place of this command, and beside it.
  private static let ways = [[], ["--mask"], ["--watch", "HUP"], ["--mask", "--watch", "restart"]]

  private func place() async throws -> (place: Workplace, pair: SimulatedOrg.IssuedPair) {
    let place = try await Workplace()
    try await place.add("crm/prod")
    return (place, try await place.org.primary())
  }

  @Test("The program gets the credential's variables, and nothing else in the environment changes")
  func variables() async throws {
    let (place, pair) = try await place()
    let own = ["OTHER": "kept", "CRM_PROD_CLIENT_ID": "old", "CRM_PROD_CLIENT_SECRETS": "kept"]
    let direct = try await place.run("/usr/bin/env", ["-u", "CRM_PROD_CLIENT_ID"], environment: own)
    let run = try await place.relatch("exec", "crm/prod", "--", "env", environment: own)
    #expect(run.code == 0, "\(run.errorText)")
    let expected =
      direct.line.split(separator: "\n").map(String.init) + [
        "CRM_PROD_CLIENT_ID=\(pair.key)", "CRM_PROD_CLIENT_SECRET=\(pair.secret)",
      ]
    #expect(run.line.split(separator: "\n").map(String.init).sorted() == expected.sorted())
    let named = try await place.relatch(
      "exec", "crm/prod", "--id-variable", "ID", "--secret-variable", "S", "--", "sh", "-c",
      "echo $ID $S $CRM_PROD_CLIENT_ID")
    #expect(named.line == "\(pair.key) \(pair.secret)")
    let prefixed = try await place.relatch(
      "exec", "--prefix", "X", "crm/prod", "--", "sh", "-c", "echo $X_CLIENT_SECRET")
    #expect(prefixed.line == pair.secret)
    let both = try await place.relatch(
      "exec", "crm/prod", "admin", "--", "sh", "-c", "echo $CRM_PROD_CLIENT_ID $ADMIN_CLIENT_ID")
    #expect(try await both.line == "\(pair.key) \(place.org.primary(ofApp: 0).key)")
    // Words after the program belong to the program.
    let words = try await place.relatch("exec", "admin", "--", "echo", "--json", "--", "-x", "")
    #expect(words.outputText == "--json -- -x \n")
  }

  @Test("The release is logged with the program's name before it starts; a program that cannot run gets nothing")
  func logged() async throws {
    let (place, _) = try await place()
    let log = try await place.relatch("exec", "crm/prod", "--", place.relatchPath, "log", "list", "--json")
    let entry = try #require(try log.objects().last { $0["event"] as? String != "log.read" })
    #expect(entry["event"] as? String == "pair.read" && entry["credential"] as? String == "crm/prod")
    #expect(entry["field"] as? String == "environment" && entry["program"] as? String == "relatch")
    #expect((entry["versions"] as? [Int]) == [1])
    let before = try await place.relatch("log", "list", environment: Workplace.outsider).outputText
    let usage: [(Int32, [String])] = [
      (66, ["crm/prod", "--", "no-such-program"]), (66, ["crm/prod", "--", "/no/such"]),
      (77, ["crm/prod", "--", "/etc/passwd"]),
      (66, ["nobody", "--", "true"]), (64, ["crm/prod"]), (64, ["crm/prod", "true"]), (64, ["--", "true"]),
      (64, ["crm/prod", "admin", "--prefix", "X", "--", "true"]),
      (64, ["crm/prod", "--id-variable", "A=B", "--", "true"]),
      (64, ["crm/prod", "--id-variable", "A", "--secret-variable", "A", "--", "true"]),
      (64, ["crm/prod", "--watch", "KILL", "--", "true"]),
      (64, ["crm/prod", "--watch", "HUP", "--every", "0s", "--", "true"]),
      (64, ["crm/prod", "--every", "5s", "--", "true"]),
    ]
    for (code, arguments) in usage { expectFailure(try await place.run(Programs.relatch, ["exec"] + arguments), code) }
    #expect(try await place.relatch("log", "list", environment: Workplace.outsider).outputText == before)
  }

  @Test("Exit codes and deaths by signal are passed on", arguments: ways)
  func endings(way: [String]) async throws {
    let (place, _) = try await place()
    for script in [
      "exit 0", "exit 1", "exit 10", "exit 255", "kill -TERM $$", "kill -KILL $$", "kill -USR1 $$", "kill -INT $$",
    ] {
      let direct = try await place.run("/bin/sh", ["-c", script])
      let run = try await place.run(Programs.relatch, ["exec", "admin"] + way + ["--", "sh", "-c", script])
      #expect(run.code == direct.code && run.errors.isEmpty, "\(script): \(run.code), \(run.errorText)")
    }
  }

  @Test("Open files, signal masks, ignored signals, the umask and the folder are unchanged", arguments: ways)
  func surroundings(way: [String]) async throws {
    let (place, _) = try await place()
    let script = "trap '' USR2; exec 7</dev/null; umask 027; cd /usr; exec \"$@\""
    // Signals 32 and 33, to the left of these digits, are the C library's own.
    let look =
      "ls /proc/self/fd; grep -E 'SigBlk|Umask' /proc/self/status; sed -n 's/SigIgn:.........//p' /proc/self/status; pwd"
    let direct = try await place.run("/bin/sh", ["-c", script, "sh", "sh", "-c", look])
    let run = try await place.run(
      "/bin/sh", ["-c", script, "sh", Programs.relatch, "exec", "admin"] + way + ["--", "sh", "-c", look])
    #expect(
      direct.outputText.contains("7\n") && direct.outputText.contains("0027") && direct.outputText.contains("/usr"))
    #expect(
      run.code == 0 && run.outputText == direct.outputText,
      "\(run.outputText)instead of \(direct.outputText)\(run.errorText)")
  }

  @Test("Signals reach the program once, and it decides; if exec is killed, so is the program", arguments: ways)
  func signals(way: [String]) async throws {
    let (place, _) = try await place()
    let script = "n=0; trap 'n=$((n+1))' USR1; trap 'echo term $n; exit 7' TERM; echo $$; while :; do sleep 0.01; done"
    let run = try place.start(arguments: ["exec", "admin"] + way + ["--", "sh", "-c", script])
    try await run.wait("the program runs") { output, _ in output.contains("\n") }
    run.send(SIGUSR1)
    try await Task.sleep(for: .milliseconds(100))
    run.send(SIGTERM)
    let ended = try await run.outcome()
    #expect(ended.code == 7 && ended.line.hasSuffix("term 1"), "\(ended.code) \(ended.outputText)")
    let killed = try place.start(arguments: ["exec", "admin"] + way + ["--", "sh", "-c", script])
    try await killed.wait("the program runs") { output, _ in output.contains("\n") }
    let program = try #require(try Int32(String(decoding: killed.said().output, as: UTF8.self).dropLast()))
    #expect(way.isEmpty == (program == killed.pid))
    killed.send(SIGKILL)
    #expect(try await killed.outcome().code == -SIGKILL)
    for _ in 1...3000 where kill(program, 0) == 0 { try await Task.sleep(for: .milliseconds(10)) }
    #expect(kill(program, 0) != 0)
  }

  @Test(
    "A program whose output nobody reads ends within seconds of a signal",
    arguments: [["--mask"], ["--mask", "--watch", "restart"]], ["TERM", "exit"])
  func standingReader(way: [String], ending: String) async throws {
    let (place, _) = try await place()
    let pipe = place.folder.path + "/pipe"
    #expect(mkfifo(pipe, 0o600) == 0)
    let reader = open(pipe, O_RDWR | O_CLOEXEC)
    defer { close(reader) }
    // More than its pipe and the reader's hold together, or less.
    let script =
      ending == "TERM"
      ? "echo runs >&2; exec head -c 400000 /dev/zero" : "head -c 110000 /dev/zero; echo runs >&2; exit 3"
    let run = try place.start(
      "/bin/sh",
      arguments: ["-c", "exec \"$@\" > '\(pipe)'", "sh", Programs.relatch, "exec", "admin"] + way + [
        "--", "sh", "-c", script,
      ])
    try await run.wait("the program runs") { _, errors in errors.contains("runs\n") }
    try await Task.sleep(for: .seconds(1))
    #expect(kill(run.pid, 0) == 0, "without a signal the reader has all the time there is")
    run.send(SIGTERM)
    let watch = Task {
      try await Task.sleep(for: .seconds(30))
      run.send(SIGKILL)
    }
    let ended = try await run.outcome()
    watch.cancel()
    #expect(ended.code == (ending == "TERM" ? -SIGTERM : 3), "\(ended.code) \(ended.errorText)")
    #expect(ended.errorText.contains("warning: not all of the program's output could be written"), "\(ended.errorText)")
  }

  @Test("Signals that only supervisors use are passed on too", arguments: [SIGALRM, SIGPWR, 36])
  func rareSignals(_ signal: Int32) async throws {
    let (place, _) = try await place()
    let script = "trap 'echo told; exit 7' \(signal); echo ready; while :; do sleep 0.01; done"
    let run = try place.start(arguments: ["exec", "admin", "--mask", "--", "/bin/bash", "-c", script])
    try await run.wait("the program runs") { output, _ in output == "ready\n" }
    run.send(signal)
    let ended = try await run.outcome()
    #expect(
      ended.code == 7 && ended.outputText == "ready\ntold\n", "\(ended.code) \(ended.outputText)\(ended.errorText)")
  }

  @Test(
    "A signal to the whole group reaches the program once, and so does the next one to exec only",
    arguments: ways)
  func groupSignals(way: [String]) async throws {
    let (place, _) = try await place()
    // Each signal that arrives is counted, however fast one follows another.
    let script = """
      import os, signal, sys
      signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
      print("ready", flush=True)
      while True:
          found = signal.sigwait([signal.SIGUSR1, signal.SIGTERM])
          if found == signal.SIGTERM: sys.exit(7)
          print("told", flush=True)
      """
    guard let python = Programs.python else { return print("skipped: python3 is not installed") }
    // It leads a session and a group of its own, in this very process.
    let run = try place.start(
      "/usr/bin/setsid", arguments: [Programs.relatch, "exec", "admin"] + way + ["--", python, "-c", script])
    try await run.wait("the program runs") { output, _ in output == "ready\n" }
    for count in 1...3 {
      if count == 2 { run.send(SIGUSR1) } else { kill(-run.pid, SIGUSR1) }
      try await run.wait("it was told") { output, _ in output.count(where: { $0 == "\n" }) >= 1 + count }
      // A signal that is also passed on arrives a moment later.
      try await Task.sleep(for: .milliseconds(200))
    }
    run.send(SIGTERM)
    let ended = try await run.outcome()
    #expect(ended.code == 7 && ended.outputText == "ready\ntold\ntold\ntold\n", "\(ended.outputText)\(ended.errorText)")
  }

  @Test("Two signals to the whole group at once reach the program once each", arguments: ways)
  func groupSignalsAtOnce(way: [String]) async throws {
    let (place, _) = try await place()
    let script = """
      import os, signal, sys
      told = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP]
      signal.pthread_sigmask(signal.SIG_BLOCK, told + [signal.SIGTERM])
      print("ready", flush=True)
      while True:
          found = signal.sigwait(told + [signal.SIGTERM])
          if found == signal.SIGTERM: sys.exit(7)
          print(found.name, flush=True)
      """
    guard let python = Programs.python else { return print("skipped: python3 is not installed") }
    let run = try place.start(
      "/usr/bin/setsid", arguments: [Programs.relatch, "exec", "admin"] + way + ["--", python, "-c", script])
    try await run.wait("the program runs") { output, _ in output == "ready\n" }
    // Stopped, the program gets all of them when it is continued; its keeper has them earlier.
    run.send(SIGSTOP)
    for signal in [SIGUSR1, SIGUSR2, SIGHUP] { kill(-run.pid, signal) }
    run.send(SIGCONT)
    try await run.wait("it was told") { output, _ in output.count(where: { $0 == "\n" }) >= 4 }
    try await Task.sleep(for: .milliseconds(200))
    run.send(SIGTERM)
    let ended = try await run.outcome()
    let told = ended.outputText.split(separator: "\n").dropFirst().sorted()
    #expect(ended.code == 7 && told == ["SIGHUP", "SIGUSR1", "SIGUSR2"], "\(ended.outputText)\(ended.errorText)")
  }

  @Test("A shell on a terminal stops, continues and interrupts it like any other program", arguments: ways)
  func jobControl(way: [String]) async throws {
    guard let python = Programs.python else { return print("skipped: python3 is not installed") }
    let (place, _) = try await place()
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Terminal/job_control.py").path
    let work = "sh -c 'printf \"WORK\"; echo ING; exec sleep 300'"
    let direct = try await place.run(python, [script, work])
    try #require(direct.code == 0, "\(direct.outputText)\(direct.errorText)")
    #expect(direct.outputText.contains("ended 143\n") && direct.outputText.contains("ended 130\n"))
    let run = try await place.run(
      python, [script, ([Programs.relatch, "exec", "admin"] + way + ["--", work]).joined(separator: " ")])
    #expect(run.outputText == direct.outputText, "\(run.outputText)instead of \(direct.outputText)\(run.errorText)")
  }

  @Test("--mask hides every form of the pair, on both streams and across chunks, and nothing else")
  func masked() async throws {
    let (place, pair) = try await place()
    let bytes = """
      import base64, os, sys
      id, secret = os.environ["CRM_PROD_CLIENT_ID"], os.environ["CRM_PROD_CLIENT_SECRET"]
      for character in "begin " + secret + " middle " + id + " end":
          sys.stdout.write(character); sys.stdout.flush()
      sys.stderr.write("error " + secret + "\\n" + secret.encode().hex() + "\\n" + base64.b64encode(b"x" + secret.encode()).decode())
      """
    guard let python = Programs.python else { return print("skipped: python3 is not installed") }
    let run = try await place.relatch("exec", "crm/prod", "--mask", "--", python, "-c", bytes)
    #expect(run.code == 0 && run.outputText == "begin [masked] middle [masked] end", "\(run.errorText)")
    let search = SecretSearch(["id": Data(pair.key.utf8), "secret": Data(pair.secret.utf8)])
    #expect(search.findings(in: run.output + run.errors, "the output") == [])
    #expect(run.errorText.hasPrefix("error [masked]"))
    // Long output arrives in full.
    let long = try await place.relatch("exec", "crm/prod", "--mask", "--", "seq", "200000")
    #expect(try await long.output == place.run("/usr/bin/seq", ["200000"]).output)
    // A process that the program leaves running is not waited for.
    let left = try await place.relatch("exec", "crm/prod", "--mask", "--", "sh", "-c", "sleep 30 & echo done")
    #expect(left.outputText == "done\n" && left.code == 0)
    // Output that cannot be written is not lost silently; a reader that has gone away is no such case.
    for (script, code) in [("echo done", 74), ("echo done; exit 3", 3)] {
      let full = try await place.run(
        "/bin/sh", ["-c", "exec \"$0\" exec crm/prod --mask -- sh -c \"$1\" >/dev/full", Programs.relatch, script])
      #expect(full.code == code, "\(full.errorText)")
      #expect(
        full.errorText.contains("not all of the program's output could be written: No space"), "\(full.errorText)")
    }
  }

  @Test("--watch tells the program about a new pair, or restarts the program with it")
  func watched() async throws {
    let (place, first) = try await place()
    let script =
      "trap 'echo told' HUP; trap 'echo term; exit 3' TERM; echo $CRM_PROD_CLIENT_ID; while :; do sleep 0.01; done"
    let told = try place.start(arguments: [
      "exec", "crm/prod", "--watch", "hup", "--every", "1s", "--", "sh", "-c", script,
    ])
    let fresh = try place.start(arguments: [
      "exec", "crm/prod", "--watch", "restart", "--every", "1s", "--", "sh", "-c", script,
    ])
    for run in [told, fresh] {
      try await run.wait("the program has the first pair") { output, _ in output == first.key + "\n" }
    }
    #expect(try await place.relatch("rotate", "crm/prod").code == 0)
    let second = try await place.org.primary()
    try await told.wait("the program was told") { output, _ in output == "\(first.key)\ntold\n" }
    try await fresh.wait("it has the second pair") { output, _ in output == "\(first.key)\nterm\n\(second.key)\n" }
    for run in [told, fresh] {
      run.send(SIGTERM)
      #expect(try await run.outcome().code == 3)
    }
    let log = try await place.relatch("log", "list", "--json")
    let reads = try log.objects().filter { $0["event"] as? String == "pair.read" }
    #expect(reads.map { $0["versions"] as? [Int] } == [[1], [1], [2]])
  }

  @Test("A program that was restarted with a new pair and prints the previous one shows neither")
  func maskedAfterRestart() async throws {
    let (place, first) = try await place()
    let kept = place.folder.path + "/kept"
    let script = """
      test -e \(kept) || echo $CRM_PROD_CLIENT_SECRET > \(kept)
      echo "had $(cat \(kept)) has $CRM_PROD_CLIENT_SECRET"; exec sleep 300
      """
    let run = try place.start(arguments: [
      "exec", "crm/prod", "--mask", "--watch", "restart", "--every", "1s", "--", "sh", "-c", script,
    ])
    let line = "had [masked] has [masked]\n"
    try await run.wait("the program has the first pair") { output, _ in output == line }
    #expect(try await place.relatch("rotate", "crm/prod").code == 0)
    try await run.wait("it has the second pair") { output, _ in output.count > line.count && output.hasSuffix("\n") }
    run.send(SIGTERM)
    let ended = try await run.outcome()
    #expect(ended.outputText == line + line)
    #expect(try String(contentsOfFile: kept, encoding: .utf8) == first.secret + "\n")
  }

  @Test(
    "The secret is in no environment but the program's",
    .enabled(if: geteuid() == 0, "needs root, to look at others"),
    arguments: ways)
  func alone(way: [String]) async throws {
    let (place, pair) = try await place()
    let search = SecretSearch(["client_id": Data(pair.key.utf8), "client_secret": Data(pair.secret.utf8)])
    let run = try place.start(
      arguments: ["exec", "crm/prod"] + way + ["--", "sh", "-c", "env -i sh -c 'echo $PPID; sleep 60'; :"])
    defer { run.send(SIGKILL) }
    try await run.wait("the program runs") { output, _ in output.contains("\n") }
    let program = try #require(try Int32(String(decoding: run.said().output, as: UTF8.self).dropLast()))
    #expect(try await search.findings(inProcess: program)?.count == 2, "of the program itself it is")
    #expect(search.findings(in: try procFile("/proc/\(program)/cmdline"), "its arguments") == [])
    var others = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }
    others.removeAll { $0 == program }
    #expect(way.isEmpty == (run.pid == program))
    for other in others {
      for file in ["environ", "cmdline"] {
        // A process that has ended meanwhile has nothing.
        guard let bytes = try? procFile("/proc/\(other)/\(file)") else { continue }
        #expect(search.findings(in: bytes, "\(file) of \(other)") == [])
      }
    }
  }
}

extension Workplace {
  fileprivate var relatchPath: String { Programs.relatch }
}
