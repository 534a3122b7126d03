import Foundation
import Glibc
import Testing

@Suite("Where the vault and the identity are, and who may write there")
struct PlaceTests {
  private func exists(_ place: Workplace, _ path: String) -> Bool {
    FileManager.default.fileExists(atPath: place.folder.appendingPathComponent(path).path)
  }

  @Test("Options win over the environment, which wins over the XDG folders, which win over those below HOME")
  func precedence() async throws {
    let place = try await Workplace(addsAdmin: false)
    let root = place.folder.path
    var environment = ["RELATCH_VAULT": "", "RELATCH_IDENTITY": ""]
    func makes(_ path: String, _ arguments: [String] = []) async throws {
      let made = try await place.run(
        Programs.relatch, ["init", "--no-passphrase"] + arguments, environment: environment)
      #expect(made.code == 0 && exists(place, path + "/vault.db"), "\(made.errorText)")
    }
    try await makes(".local/share/relatch/default")
    #expect(exists(place, ".config/relatch/identity"))
    environment["XDG_DATA_HOME"] = "relative/is/ignored"
    expectFailure(try await place.relatch("init", "--no-passphrase", environment: environment), 64, "already")
    environment["XDG_DATA_HOME"] = root + "/data"
    environment["XDG_CONFIG_HOME"] = root + "/config"
    try await makes("data/relatch/default")
    #expect(exists(place, "config/relatch/identity"))
    environment["RELATCH_VAULT"] = root + "/by-variable"
    environment["RELATCH_IDENTITY"] = root + "/identity-by-variable"
    try await makes("by-variable")
    #expect(exists(place, "identity-by-variable"))
    try await makes("by-option", ["--vault", root + "/by-option", "--identity", root + "/identity-by-option"])
    #expect(exists(place, "identity-by-option"))
    let homeless = ["HOME": "", "RELATCH_VAULT": ""]
    expectFailure(try await place.relatch("list", environment: homeless), 78, "neither RELATCH_VAULT nor HOME is set")
  }

  @Test("Public information needs no identity")
  func publicCommands() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    try FileManager.default.removeItem(at: place.identity)
    for arguments in [["list"], ["show", "crm"], ["status"], ["policy", "crm"], ["log", "list"], ["log", "verify"]] {
      let outcome = try await place.run(Programs.relatch, arguments)
      #expect(outcome.code == 0 && !outcome.output.isEmpty && outcome.errors.isEmpty, "\(outcome.errorText)")
    }
    expectFailure(try await place.relatch("read", "crm"), 66, "there is no identity")
    expectFailure(try await place.relatch("policy", "crm", "grace=1h"), 66, "there is no identity")
  }

  @Test("Without HOME a named vault is enough")
  func homeless() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    func run(_ arguments: [String]) async throws -> Outcome {
      let unset = ["HOME", "RELATCH_VAULT", "RELATCH_IDENTITY"].flatMap { ["-u", $0] }
      return try await place.run(
        "/usr/bin/env", unset + [Programs.relatch] + arguments + ["--vault", place.vault.path])
    }
    for arguments in [
      ["list"], ["show", "crm"], ["status"], ["policy", "crm"], ["metrics"], ["log", "list"], ["log", "verify"],
      ["log", "checkpoint"], ["incident"], ["member", "list"], ["sink", "list", "crm"], ["plan", "--offline"],
    ] {
      let outcome = try await run(arguments)
      #expect(outcome.code == 0, "\(arguments): \(outcome.errorText)")
    }
    expectFailure(try await run(["read", "crm"]), 78, "neither RELATCH_IDENTITY nor HOME is set")
    expectFailure(try await run(["list", "--identity", ""]), 64, "--vault or --identity is empty")
  }

  @Test(
    "A vault that everybody may write to makes every command warn, and is a missing step of doctor",
    arguments: ["", "/vault.db"])
  func openToAll(part: String) async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let path = place.vault.path + part
    #expect(chmod(path, part.isEmpty ? 0o777 : 0o666) == 0)
    let warning = "relatch: warning: everybody may write to \"\(path)\": take that right from others: chmod o-w"
    for arguments in [["list"], ["read", "crm"], ["status"], ["rotate", "--due"], ["plan", "crm"]] {
      let outcome = try await place.run(Programs.relatch, arguments)
      #expect(outcome.code == 0, "\(arguments): \(outcome.errorText)")
      #expect(outcome.errorText.components(separatedBy: warning).count == 2, "\(arguments): \(outcome.errorText)")
    }
    #expect(try await place.relatch("plan", "crm").outputText.contains("warning: everybody may write to"))
    let examined = try await place.relatch("doctor", "crm", "--json")
    let missing = try examined.objects().first?["missing"] as? [String]
    #expect(examined.code == 78 && missing == ["vault"], "\(examined.outputText)")
    #expect(chmod(path, part.isEmpty ? 0o775 : 0o664) == 0)
    for arguments in [["list"], ["doctor", "crm"]] {
      let outcome = try await place.run(Programs.relatch, arguments)
      #expect(outcome.code == 0 && !outcome.errorText.contains("everybody"), "\(outcome.errorText)")
    }
  }

  @Test("A policy is shown as it was set")
  func policy() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: ["grace=90m", "propagation=5s"])
    #expect(try await place.relatch("policy", "crm").outputText == "grace=90m\npropagation=5s\n")
    expectFailure(try await place.relatch("policy", "crm", "propagation=25h"), 64, "is more than 1d, the maximum")
    #expect(try await place.relatch("policy", "crm", "grace=24h").outputText == "grace=1d\npropagation=5s\n")
    expectFailure(try await place.relatch("policy", "crm", "grace=-1d"), 64)
    #expect(try await place.relatch("policy", "crm").outputText == "grace=1d\npropagation=5s\n")
    let entry =
      try await place.relatch("log", "list", environment: Workplace.outsider).outputText.split(separator: "\n").last
      ?? ""
    #expect(entry.contains("credential.policy") && entry.contains(#""grace":"1d""#))
  }

  @Test("A vault that may not be read is not reported as missing")
  func forbidden() async throws {
    let place = try await Workplace()
    let run: Outcome
    if geteuid() == 0 {
      guard let setpriv = Programs.setpriv else { return print("skipped: setpriv is not installed") }
      let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", Programs.relatch]
      guard try await place.run(setpriv, nobody + ["--version"]).code == 0 else {
        return print("skipped: no other user may run the program here")
      }
      run = try await place.run(setpriv, nobody + ["status"])
    } else {
      #expect(chmod(place.vault.path, 0) == 0)
      run = try await place.relatch("status")
      #expect(chmod(place.vault.path, 0o700) == 0)
    }
    expectFailure(run, 77, "the vault at \"\(place.vault.path)\" cannot be read by ")
    #expect(!run.errorText.contains("relatch init"))
  }

  @Test("A setting that the provider needs to rotate and was not given is reported when the credential is added")
  func missingSetting() async throws {
    let place = try await Workplace()
    let arguments = ["--provider", "salesforce", "--set", "url=\(place.org.url)"]
    let pair = try await place.org.primary().document
    let used = try await place.run(
      Programs.relatch, ["add", "used"] + arguments, stdin: #"{"client_id":"used","client_secret":"not-tried"}"#)
    #expect(used.code == 0 && used.errorText.contains("warning: used can be used"), "\(used.errorText)")
    #expect(used.errorText.contains("setting app is missing"))
    let app = "app=\(try await place.org.apps()[1].identifier)"
    let whole = try await place.run(Programs.relatch, ["add", "crm", "--set", app] + arguments, stdin: pair)
    #expect(whole.code == 0 && !whole.errorText.contains("warning"), "\(whole.errorText)")
    #expect(whole.errorText.contains("was not tried: `relatch plan crm`"), "\(whole.errorText)")
  }

  @Test("A policy under which a new pair would be due at once is refused, however it is set")
  func storm() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    for rules in [["max-age=0s"], ["max-age=59m"], ["max-age=1d", "jitter=1d"], ["max-age=1d", "jitter=30d"]] {
      let set = try await place.run(Programs.relatch, ["policy", "crm"] + rules)
      expectFailure(set, 64, rules.count == 1 ? "less than 1h" : "not less than max-age")
      let added = try await place.run(
        Programs.relatch,
        ["add", "erp", "--provider", "salesforce", "--set", "url=\(place.org.url)"]
          + rules.flatMap { ["--policy", $0] },
        stdin: #"{"client_id":"erp","client_secret":"not-tried"}"#)
      expectFailure(added, 64, rules.count == 1 ? "less than 1h" : "not less than max-age")
    }
    #expect(try await place.relatch("policy", "crm", "jitter=30d").code == 0, "without a schedule it does nothing")
    expectFailure(try await place.relatch("policy", "crm", "max-age=1d"), 64, "not less than max-age")
    #expect(try await place.relatch("policy", "crm", "max-age=1h", "jitter=59m").code == 0)
  }

  @Test("A grace longer than the provider allows a replaced pair is warned about, however it is set")
  func grace() async throws {
    let place = try await Workplace()
    let ends = "the replaced pair ends at salesforce after at most 30d"
    try await place.add("crm")
    for grace in ["30d", "40d"] {
      let set = try await place.relatch("policy", "crm", "grace=\(grace)")
      #expect(set.code == 0)
      #expect(set.errorText.contains("warning: crm: \(ends), but its grace is \(grace)"), "\(set.errorText)")
    }
    #expect(try await !place.relatch("policy", "crm", "max-age=90d").errorText.contains(ends))
    let late = try await place.relatch("policy", "crm", "max-age=40d")
    #expect(late.code == 0 && late.errorText.contains("its grace, 40d, is not less than its max-age, 40d"))
    #expect(try await !place.relatch("policy", "crm", "max-age=41d").errorText.contains("not less than"))
    #expect(try await !place.relatch("policy", "crm", "grace=29d").errorText.contains(ends))
    let added = try await place.relatch(
      "add", "erp", "--provider", "salesforce", "--set", "url=\(place.org.url)", "--policy", "grace=31d",
      stdin: #"{"client_id":"erp","client_secret":"not-tried"}"#)
    #expect(added.code == 0 && added.errorText.contains("warning: erp: \(ends)"), "\(added.errorText)")
  }

  @Test("Only their owner may open the files of the vault and the identity, whatever the umask")
  func modes() async throws {
    let place = try await Workplace()
    let made = try await place.run(
      "/bin/sh", ["-c", "umask 0; exec \"$0\" init --no-passphrase", Programs.relatch],
      environment: ["RELATCH_VAULT": place.folder.path + "/open", "RELATCH_IDENTITY": place.folder.path + "/openid"])
    #expect(made.code == 0, "\(made.errorText)")
    let names = try FileManager.default.subpathsOfDirectory(atPath: place.folder.path + "/open").map { "open/" + $0 }
    for name in names + ["open", "openid"] {
      let attributes = try FileManager.default.attributesOfItem(atPath: place.folder.path + "/" + name)
      let isFolder = attributes[.type] as? FileAttributeType == .typeDirectory
      #expect(attributes[.posixPermissions] as? Int == (isFolder ? 0o700 : 0o600), "\(name)")
    }
  }

  @Test("A limit on file sizes ends a command with 74 and kills only the programs that it runs")
  func sizeLimit() async throws {
    let place = try await Workplace()
    func limited(_ blocks: Int, _ arguments: [String]) async throws -> Outcome {
      let script = "ulimit -f \(blocks); exec \"$0\" \"$@\""
      return try await place.run("/bin/bash", ["-c", script, Programs.relatch] + arguments)
    }
    var outcome = try await limited(100, ["read", "admin"])
    for _ in 1...60 where outcome.code == 0 { outcome = try await limited(100, ["read", "admin"]) }
    expectFailure(outcome, 74)
    #expect(try await place.logIsIntact())
    #expect(try await place.relatch("read", "admin").code == 0)
    for arguments in [[], ["--mask"]] {
      let writing = ["/bin/sh", "-c", "head -c 3000000 /dev/zero > \(place.folder.path)/zeros; echo $?"]
      let run = try await limited(1500, ["exec", "admin"] + arguments + ["--"] + writing)
      #expect(run.outputText == "\(128 + SIGXFSZ)\n", "\(arguments): \(run.outputText)\(run.errorText)")
    }
  }

  @Test(
    "Files that root makes in another user's vault belong to that user, and root makes no vault in their folder",
    .enabled(if: geteuid() == 0, "needs root"))
  func ofAnother() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let folder = place.folder.path + "/elsewhere"
    let note = folder + "/note"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    #expect(try await place.relatch("log", "witness", "add", "usb", "--file", note).code == 0)
    try? FileManager.default.removeItem(at: place.vault.appendingPathComponent("reserve"))
    #expect(chown(folder, 65_534, 65_534) == 0)
    func all() throws -> [String] {
      let names = FileManager.default.enumerator(atPath: place.vault.path)?.compactMap { $0 as? String } ?? []
      return [place.vault.path, note] + names.map { place.vault.path + "/" + $0 }
    }
    for path in try all() where path != note { #expect(lchown(path, 65_534, 65_534) == 0) }
    for arguments in [
      ["log", "witness", "submit"], ["rekey"], ["rotate", "crm"], ["token", "crm"], ["member", "remove", "none"],
    ] { _ = try await place.run(Programs.relatch, arguments) }
    let made = try all()
    for name in ["/witnesses/", "/tokens/"] {
      #expect(made.contains { $0.hasPrefix(place.vault.path + name) }, "\(name)")
    }
    #expect(!made.contains(place.vault.path + "/reserve"), "that is left to its owner's next run")
    for path in made {
      var found = stat()
      #expect(lstat(path, &found) == 0 && found.st_uid == 65_534 && found.st_gid == 65_534, "\(path)")
    }
    expectFailure(try await place.relatch("init", "--no-passphrase", "--vault", folder), 77, "belongs to user 65534")
    let below = folder + "/vault"
    expectFailure(try await place.relatch("init", "--no-passphrase", "--vault", below), 77, "belongs to user 65534")
    let file = place.folder.path + "/copy.age"
    #expect(try await place.relatch("backup", "-o", file).code == 0)
    expectFailure(try await place.relatch("restore", file, "--vault", below), 77, "belongs to user 65534")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["note"])
  }

  @Test("A full disk ends a command with 74 and releases nothing, and the same command finishes later")
  func fullDisk() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let old = try await place.org.primary()
    // No file may grow beyond 34 KiB: SQLite can make its index, but cannot keep a change. Beyond 4 KiB, it cannot even
    // read.
    for blocks in [8, 68] {
      let limited = "trap '' XFSZ; ulimit -f \(blocks); exec \"$0\" \"$@\""
      let rotated = try await place.run("/bin/sh", ["-c", limited, Programs.relatch, "rotate", "crm", "--quiet"])
      expectFailure(rotated, 74)
    }
    #expect(try await place.org.primary() == old)
    let again = try await place.relatch("rotate", "crm")
    #expect(again.code == 0, "\(again.errorText)")
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.logIsIntact())
    let full = try await place.run("/bin/sh", ["-c", "exec \"$0\" read crm > /dev/full", Programs.relatch])
    expectFailure(full, 74, "cannot write standard output")
  }

  @Test("Without /proc every command ends with 70 and does nothing")
  func noProcesses() async throws {
    let place = try await Workplace()
    let command = "umount -l /proc || exit 99; exec \"$0\" \"$@\""
    func run(_ arguments: String...) async throws -> Outcome {
      try await place.run("/usr/bin/unshare", ["--mount", "/bin/sh", "-c", command] + arguments)
    }
    guard FileManager.default.isExecutableFile(atPath: "/usr/bin/unshare"), try await run("/bin/true").code == 0 else {
      print("skipped: /proc cannot be taken away here")
      return
    }
    for verb in [["rotate", "--due"], ["log", "verify"]] {
      let asked = try await place.run(
        "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", command, Programs.relatch] + verb)
      expectFailure(asked, 70, "/proc is not mounted")
      #expect(asked.output.isEmpty)
    }
  }

  @Test("A vault that cannot be written can be looked at, but releases nothing: 74")
  func readOnly() async throws {
    let place = try await Workplace()
    // Only a read-only mount keeps root from writing; where that is impossible, so is this test.
    let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" || exit 99; "
    func run(_ command: String) async throws -> Outcome {
      try await place.run("/usr/bin/unshare", ["--mount", "/bin/sh", "-c", mount + command, place.vault.path])
    }
    guard FileManager.default.isExecutableFile(atPath: "/usr/bin/unshare"), try await run("true").code == 0 else {
      print("skipped: no read-only mount can be made here")
      return
    }
    #expect(try await run("\(Programs.relatch) status; \(Programs.relatch) log verify").code == 0)
    expectFailure(try await run("\(Programs.relatch) read admin"), 74)
    // A backup is sealed to its owners: nothing is released except to them.
    let file = place.folder.path + "/copy.age"
    let backup = try await run("\(Programs.relatch) backup -o \(file)")
    #expect(backup.code == 0 && backup.errorText.contains("its log will have no entry about this backup"))
    let restored = ["RELATCH_VAULT": place.folder.path + "/restored", "XDG_STATE_HOME": place.folder.path + "/state"]
    let restore = try await place.relatch("restore", file, environment: restored)
    #expect(restore.code == 0, "\(restore.errorText)")
    #expect(try await place.relatch("read", "admin", environment: restored).code == 0)
  }
}
