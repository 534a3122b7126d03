import Foundation
import Testing

@Suite("Witnesses of the log")
struct WitnessTests {
  /// A vault with a witness `w1` that has seen nothing yet.
  private static func place() async throws -> (place: Workplace, witness: WitnessServer) {
    let place = try await Workplace()
    let witness = try await WitnessServer(place)
    let added = try await place.relatch("log", "witness", "add", "w1", "--url", witness.url, "--key", witness.key)
    #expect(added.code == 0, "\(added.errorText)")
    return (place, witness)
  }

  private static func size(_ place: Workplace) async throws -> Int {
    try #require(try await place.relatch("log", "verify", "--json").objects().first?["entries"] as? Int)
  }

  /// Makes the vault known in `environment`.
  private static func trust(_ place: Workplace, _ environment: [String: String]) async throws {
    let told = try await place.relatch("log", "verify", "--json", environment: environment).objects().first
    let owner = try #require(told?["owner"] as? String)
    #expect(try await place.relatch("log", "verify", "--owner", owner, environment: environment).code == 0)
  }

  private static func record(_ place: Workplace) throws -> URL {
    let folder = place.vault.appendingPathComponent("witnesses")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    #expect(names.count == 1)
    return folder.appendingPathComponent(names[0])
  }

  @Test(
    "A rotation ends with the checkpoint at the witness, a gap is reported, and outsiders accept the cosignature",
    .enabled(if: WitnessServer.isAvailable, "needs python3 with PyNaCl"))
  func submission() async throws {
    let (place, witness) = try await Self.place()
    #expect(try await place.relatch("status").outputText.contains("no witness has seen the last "))
    try await place.add("crm")
    #expect(witness.read("requests").isEmpty, "`add` hands nothing over")
    #expect(try await place.relatch("rotate", "crm").code == 0)
    let size = try await Self.size(place)
    #expect(witness.read("sizes").contains("[\(size), "))
    #expect(try await !place.relatch("status").outputText.contains("no witness"))

    // Reading waits for no witness, and leaves a gap that is shown everywhere.
    let before = witness.read("requests")
    #expect(try await place.relatch("read", "crm").code == 0)
    #expect(witness.read("requests") == before)
    #expect(try await place.relatch("status").outputText.contains("no witness has seen the last entry"))
    let verified = try await place.relatch("log", "verify")
    #expect(verified.errorText.contains("no witness has seen the last entry"), "\(verified.errorText)")
    #expect(verified.outputText.contains("witness  w1 has seen \(size) entries, signed at "))
    let metrics = try await place.relatch("metrics").outputText
    #expect(metrics.contains(#"relatch_witness_unseen_entries{witness="w1"} 1"#))
    #expect(metrics.contains(#"relatch_witness_unseen_timestamp_seconds{witness="w1"} "#))

    // With a proof from the size that it saw before.
    #expect(try await place.relatch("log", "witness", "submit").code == 0)
    #expect(witness.read("requests").contains("old \(size)\n"))
    let note = place.folder.path + "/note"
    #expect(try await place.relatch("log", "checkpoint", "--cosigned", "-o", note).code == 0)
    let outsider = ["HOME": place.folder.path + "/outsider", "RELATCH_IDENTITY": "/nonexistent"]
    let copy = place.folder.appendingPathComponent("copy")
    try FileManager.default.copyItem(at: place.vault, to: copy)
    try FileManager.default.removeItem(at: copy.appendingPathComponent("witnesses"))
    func vouched(_ more: String...) async throws -> Outcome {
      try await place.run(
        Programs.relatch, ["log", "verify", "--vault", copy.path, "--witness", witness.key] + more,
        environment: outsider)
    }
    expectFailure(try await vouched(), 65, "found cosignatures of 0 of the witnesses")
    let found = try await vouched("--checkpoint", note)
    #expect(found.code == 0 && found.outputText.contains("vouched  by witness.example/w1: \(size + 1) entries at "))
    expectFailure(try await vouched("--require-witness", "2"), 64)
    #expect(try await vouched("--require-witness", "0").code == 0)
  }

  @Test(
    "Go, Python and this program accept a witness's signature on a checkpoint and a bundle, and refuse an altered one",
    .enabled(if: WitnessServer.isAvailable, "needs python3 with PyNaCl"))
  func othersVerify() async throws {
    let (place, witness) = try await Self.place()
    let stranger = try await WitnessServer(place, seed: "another")
    #expect(try await place.relatch("log", "witness", "submit").code == 0)
    let note = place.folder.path + "/note"
    let told = try await place.relatch("log", "checkpoint", "--cosigned", "-o", note, "--json").objects().first
    let key = try #require(told?["key"] as? String)
    if ThirdPartyTests.hasGo {
      let verify = try await ThirdPartyTests.verifier(in: place)
      #expect(try await place.run(verify, ["cosigned", key, witness.key, note]).code == 0)
      #expect(try await place.run(verify, ["cosigned", key, stranger.key, note]).code == 1)
      var altered = try Data(contentsOf: URL(fileURLWithPath: note))
      altered[altered.count - 12] ^= 1
      try altered.write(to: URL(fileURLWithPath: note + ".altered"))
      #expect(try await place.run(verify, ["cosigned", key, witness.key, note + ".altered"]).code == 1)
    }
    #expect(try await place.relatch("read", "admin").code == 0)
    let bundle = place.folder.path + "/admin.bundle"
    #expect(try await place.relatch("log", "bundle", "admin", "-o", bundle).code == 0)
    let far = ["HOME": "/nonexistent", "RELATCH_VAULT": "/nonexistent", "RELATCH_IDENTITY": "/nonexistent"]
    let verified = try await place.relatch(
      "log", "verify", "--bundle", bundle, "--witness", witness.key, environment: far)
    #expect(
      verified.code == 0 && verified.outputText.contains("vouched  by witness.example/w1"), "\(verified.errorText)")
    expectFailure(
      try await place.relatch("log", "verify", "--bundle", bundle, "--witness", stranger.key, environment: far), 65,
      "cosignatures of 0")
    #expect(
      try await place.relatch("log", "verify", "--bundle", bundle, "--checkpoint", note, environment: far).code == 0)
    let python = try #require(Programs.python)
    let script = WitnessServer.script.replacingOccurrences(of: "witness.py", with: "verify_bundle.py")
    func code(_ file: String, _ witness: String) async throws -> Int32 {
      try await place.run(python, [script, file, key, witness]).code
    }
    #expect(try await code(bundle, witness.key) == 0)
    #expect(try await code(bundle, stranger.key) == 1)
    let lines = try String(contentsOfFile: bundle, encoding: .utf8).split(
      separator: "\n", omittingEmptySubsequences: false)
    let cosigned = try #require(lines.firstIndex { $0.hasPrefix(#"{"cosigned":"#) })
    for (number, text) in [
      lines[cosigned].replacing("\\n— ", with: "\\n\\n— "), lines[cosigned].replacing("relatch/", with: "relatch/00"),
      lines[cosigned] + "\n" + lines[cosigned], lines[cosigned].replacing(#""path":["#, with: #""path":["AAAA","#),
    ].enumerated() {
      var copy = lines.map(String.init)
      copy[cosigned] = String(text)
      try copy.joined(separator: "\n").write(toFile: bundle + ".altered", atomically: true, encoding: .utf8)
      let run = try await place.relatch("log", "verify", "--bundle", bundle + ".altered", environment: far)
      #expect(run.code == 65, "\(number): \(run.outputText)")
      #expect(try await code(bundle + ".altered", witness.key) == 1, "\(number)")
    }
  }

  @Test(
    "A witness that is down, slow or wrong delays nothing and is a gap",
    .enabled(if: WitnessServer.isAvailable, "needs python3 with PyNaCl"))
  func faults() async throws {
    let (place, witness) = try await Self.place()
    #expect(try await place.relatch("log", "witness", "submit").code == 0)
    let kept = try Data(contentsOf: Self.record(place))
    let reasons = [
      "wrongkey": "is not one of this checkpoint", "replay": "is not one of this checkpoint", "huge": "answer",
      "redirect": "status 307", "nosize": "no size", "garbage": "expected", "future": "is in the future",
    ]
    for (fault, reason) in reasons.sorted(by: { $0.key < $1.key }) {
      try witness.fault(fault)
      // The log grows in between, so that there is something new to sign.
      #expect(try await place.relatch("read", "admin").code == 0)
      let run = try await place.relatch("log", "witness", "submit")
      expectFailure(run, 69, "witness w1 (\(witness.url)) has not taken the checkpoint: ")
      #expect(run.errorText.contains(reason), "\(fault): \(run.errorText)")
      #expect(try Data(contentsOf: Self.record(place)) == kept, "\(fault)")
    }
    #expect(!witness.read("requests").contains("GET "), "a redirect is not followed")
    try await place.add("crm")
    try witness.fault("slow")
    let slow = try await place.relatch("rotate", "crm")
    #expect(slow.code == 0 && slow.errorText.contains("witness w1"), "\(slow.errorText)")
    witness.stop()
    #expect(try await place.relatch("log", "witness", "list").outputText.contains(" more came since "))
    let down = try await place.relatch("rotate", "crm", "--replace-previous", "--quiet")
    #expect(down.code == 0 && down.errors.isEmpty, "\(down.errorText)")
    expectFailure(try await place.relatch("log", "witness", "submit"), 69, "nothing was sent")
    #expect(try await place.logIsIntact())
  }

  @Test(
    "A log that was rewritten or cut off after a witness saw it is found by the witness and by its cosignature",
    .enabled(if: WitnessServer.isAvailable, "needs python3 with PyNaCl"))
  func rewriting() async throws {
    let (place, witness) = try await Self.place()
    let fork = place.folder.appendingPathComponent("fork")
    try FileManager.default.copyItem(at: place.vault, to: fork)
    for _ in 1...3 { #expect(try await place.relatch("read", "admin").code == 0) }
    #expect(try await place.relatch("log", "witness", "submit").code == 0)
    let size = try await Self.size(place)
    let cosigned = try Self.record(place)

    // Another history of the same vault, by somebody who remembers nothing of the first.
    let forger = ["HOME": place.folder.path + "/forger", "RELATCH_VAULT": fork.path]
    try await Self.trust(place, forger)
    expectFailure(
      try await place.relatch("log", "witness", "submit", environment: forger), 65,
      "witness w1 has seen \(size) entries, but the log has \(size - 3): it was cut off")
    for _ in 1...4 { #expect(try await place.relatch("read", "admin", environment: forger).code == 0) }
    expectFailure(
      try await place.relatch("log", "witness", "submit", environment: forger), 65,
      "witness w1 says that the log does not extend the \(size) entries")
    // What the run did is done nevertheless.
    try await place.add("crm", environment: forger)
    let rotated = try await place.relatch("rotate", "crm", environment: forger)
    #expect(rotated.code == 65 && rotated.outputText.contains("version 2 is active"), "\(rotated.errorText)")
    #expect(try await place.relatch("log", "verify", environment: forger).code == 0, "nothing tells it yet")

    // The record copied there, or a checkpoint that an outsider kept.
    let records = fork.appendingPathComponent("witnesses")
    try FileManager.default.createDirectory(at: records, withIntermediateDirectories: true)
    try? FileManager.default.removeItem(at: records.appendingPathComponent(cosigned.lastPathComponent))
    try FileManager.default.copyItem(at: cosigned, to: records.appendingPathComponent(cosigned.lastPathComponent))
    expectFailure(
      try await place.relatch("log", "verify", environment: forger), 65,
      "witness w1 has seen another history: the first \(size) of")
    // A size that the witness did not sign is only its word, but nobody continues past it.
    try witness.fault("ahead")
    expectFailure(try await place.relatch("log", "witness", "submit", "w1", environment: forger), 65)
    #expect(try await place.relatch("read", "admin").code == 0)
    expectFailure(try await place.relatch("log", "witness", "submit"), 65, "has seen 1000000 entries")

    // A cosignature that was altered.
    var altered = try Data(contentsOf: cosigned)
    altered[altered.count - 9] ^= 1
    try altered.write(to: cosigned)
    expectFailure(try await place.relatch("log", "verify"), 65, "what witness w1 took")
    #expect(try await place.relatch("status").errorText.contains("what witness w1 took"))
    try witness.fault("")
    #expect(try await place.relatch("log", "witness", "submit").code == 0, "a new one takes its place")
    #expect(try await place.logIsIntact())
  }

  @Test(
    "A checkpoint that another run submits during a look is not taken for a log that was cut off",
    .enabled(if: Programs.strace != nil, "strace is not installed"))
  func handedOverMeanwhile() async throws {
    let place = try await Workplace()
    let probe = try await place.run(Programs.strace ?? "", ["-f", "-o", "/dev/null", "/bin/true"])
    guard probe.code == 0 else { return print("skipped: processes cannot be traced here: \(probe.errorText)") }
    let note = place.folder.path + "/note"
    #expect(try await place.relatch("log", "witness", "add", "usb", "--file", note).code == 0)
    #expect(try await place.relatch("log", "witness", "submit").code == 0)
    let record = try Self.record(place).path
    for verb in [["log", "verify"], ["metrics"]] {
      // Held up where it opens the record, whatever it has seen of the log by then.
      let trace = place.folder.path + "/trace-\(verb.count)"
      let look = try place.start(
        Programs.strace ?? "",
        arguments: [
          "-f", "-o", trace, "-P", record, "-e", "trace=openat", "-e", "inject=openat:delay_enter=6000000",
          Programs.relatch,
        ] + verb)
      for _ in 1...3000 {
        if (try? String(contentsOfFile: trace, encoding: .utf8))?.contains("openat(") == true { break }
        try await Task.sleep(for: .milliseconds(10))
      }
      #expect(try await place.relatch("read", "admin").code == 0)
      #expect(try await place.relatch("log", "witness", "submit").code == 0)
      let outcome = try await look.outcome()
      #expect(outcome.code == 0, "\(verb): \(outcome.errorText)")
      #expect(
        outcome.outputText.contains("witness  usb has seen ")
          || outcome.outputText.contains(#"relatch_witness_unseen_entries{witness="usb"} 0"#), "\(outcome.outputText)")
    }
  }

  @Test("A file or folder elsewhere gets only larger checkpoints of one history")
  func places() async throws {
    let place = try await Workplace()
    let elsewhere = place.folder.path + "/elsewhere"
    let before = place.folder.appendingPathComponent("before")
    #expect(try await place.relatch("log", "witness", "add", "usb", "--file", elsewhere + "/note").code == 0)
    #expect(try await place.relatch("log", "witness", "add", "worm", "--folder", elsewhere + "/all").code == 0)
    expectFailure(try await place.relatch("log", "witness", "submit"), 69, "there is no folder")
    try FileManager.default.createDirectory(atPath: elsewhere + "/all", withIntermediateDirectories: true)
    #expect(try await place.relatch("log", "witness", "submit").code == 0)
    try FileManager.default.copyItem(at: place.vault, to: before)
    #expect(try await place.relatch("read", "admin").code == 0)
    #expect(try await place.relatch("log", "witness", "submit").code == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere + "/all").count == 2)
    #expect(try await place.relatch("log", "verify", "--checkpoint", elsewhere + "/note").code == 0)
    let note = try Data(contentsOf: URL(fileURLWithPath: elsewhere + "/note"))

    let other = ["HOME": place.folder.path + "/other", "RELATCH_VAULT": before.path]
    try await Self.trust(place, other)
    let older = try await place.relatch("log", "witness", "submit", environment: other)
    #expect(older.code == 65 && older.errorText.contains("witness usb has seen ") && older.errorText.contains("worm"))
    for _ in 1...2 { #expect(try await place.relatch("read", "admin", environment: other).code == 0) }
    expectFailure(
      try await place.relatch("log", "witness", "submit", environment: other), 65, "has seen another history")
    #expect(try Data(contentsOf: URL(fileURLWithPath: elsewhere + "/note")) == note)
    #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere + "/all").count == 2)

    // Anyone who can write there cannot make anybody believe that the log was rewritten, and what they put there is not
    // overwritten.
    var lines = try String(contentsOfFile: elsewhere + "/note", encoding: .utf8).split(
      separator: "\n", omittingEmptySubsequences: false)
    let vault = lines[0].dropFirst("relatch/".count)
    lines[1] = "1000000"
    let forged = Data(lines.joined(separator: "\n").utf8)
    for file in ["/note", "/all/\(vault)-1000000"] { try forged.write(to: URL(fileURLWithPath: elsewhere + file)) }
    let missed = try await place.relatch("log", "witness", "submit")
    expectFailure(missed, 69, "nobody who signed it is or was a member")
    #expect(missed.errorText.contains("witness usb") && missed.errorText.contains("witness worm"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: elsewhere + "/note")) == forged)
    try FileManager.default.removeItem(atPath: elsewhere + "/all/\(vault)-1000000")

    try Data("not a checkpoint".utf8).write(to: URL(fileURLWithPath: elsewhere + "/note"))
    expectFailure(try await place.relatch("log", "witness", "submit", "usb"), 69, "is not a checkpoint")
    #expect(try await place.relatch("log", "witness", "remove", "usb").code == 0)
    expectFailure(try await place.relatch("log", "witness", "remove", "usb"), 66)
    expectFailure(try await place.relatch("log", "witness", "submit", "usb"), 66)
    #expect(try await place.relatch("log", "witness", "submit").code == 0)
  }

  @Test("Nothing is started, written or sent for a witness of somebody who is no longer an owner, which is told")
  func formerOwner() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let dora = try await place.addMember("dora", "owner")
    let (elsewhere, ran) = (place.folder.path + "/elsewhere", place.folder.path + "/ran")
    try FileManager.default.createDirectory(atPath: elsewhere + "/all", withIntermediateDirectories: true)
    let key = "witness.example/w1+d7ec3267+BO2NXp96io5WwyFvQUEMfhRIAsqSo9DZ83HT1Nfgqy6k"
    let witnesses = [
      ["usb", "--file", elsewhere + "/note"], ["worm", "--folder", elsewhere + "/all"],
      ["run", "--key", key, "--", "/usr/bin/touch", ran],
    ]
    for witness in witnesses {
      let added = try await place.run(Programs.relatch, ["log", "witness", "add"] + witness, environment: dora)
      #expect(added.code == 0, "\(added.errorText)")
    }
    #expect(try await place.relatch("log", "witness", "add", "own", "--file", elsewhere + "/own").code == 0)
    #expect(try await place.relatch("member", "remove", "dora").code == 0)
    func handedOver() throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: elsewhere).filter { $0 != "all" }
        + FileManager.default.contentsOfDirectory(atPath: elsewhere + "/all")
        + (FileManager.default.fileExists(atPath: ran) ? ["ran"] : [])
    }
    let rotated = try await place.relatch("rotate", "crm")
    #expect(rotated.code == 0, "\(rotated.errorText)")
    for name in ["usb", "worm", "run"] {
      #expect(
        rotated.errorText.contains("warning: the witness \(name) was added by dora, who is no longer an owner")
          && rotated.errorText.contains("`relatch log witness remove \(name)`"), "\(rotated.errorText)")
      expectFailure(try await place.relatch("log", "witness", "submit", name), 77, "who is no longer an owner")
    }
    #expect(try await place.relatch("log", "witness", "submit").code == 13)
    #expect(try handedOver() == ["own"])
    #expect(try await place.relatch("log", "witness", "list").outputText.contains("who is no longer an owner"))
    #expect(try await place.logIsIntact())
    // Neither the same name again nor the same person makes it count.
    try await place.addMember("dora", "owner")
    expectFailure(try await place.relatch("log", "witness", "submit", "run"), 77)
    #expect(try handedOver() == ["own"])
    for witness in witnesses {
      #expect(try await place.relatch("log", "witness", "remove", witness[0]).code == 0)
      #expect(try await place.run(Programs.relatch, ["log", "witness", "add"] + witness).code == 0)
    }
    #expect(try await place.relatch("log", "witness", "submit", "usb", "worm").code == 0)
    #expect(try handedOver().count == 3)
  }

  @Test("A backup that is only tried hands nothing to the witnesses of the vault, and a restored vault does once asked")
  func triedBackup() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "2"], addsAdmin: false)
    for (number, name) in ["crm", "erp"].enumerated() { try await place.add(name, app: number + 1, admin: "self") }
    let note = URL(fileURLWithPath: place.folder.path + "/note")
    #expect(try await place.relatch("log", "witness", "add", "usb", "--file", note.path).code == 0)
    for name in ["crm", "erp"] { #expect(try await place.relatch("rotate", name).code == 0) }
    let file = try await BackupTests.backup(place)
    let seen = try Data(contentsOf: note)

    let trial = BackupTests.elsewhere(place, "trial")
    #expect(try await place.relatch("restore", file, environment: trial).code == 0)
    let retired = try await place.relatch("retire", "crm", environment: trial)
    #expect(retired.code == 0 && retired.errorText.contains("restored from a backup since"), "\(retired.errorText)")
    #expect(try Data(contentsOf: note) == seen)
    let own = try await place.relatch("retire", "erp")
    #expect(own.code == 0, "\(own.errorText)")
    let newer = try Data(contentsOf: note)
    #expect(newer != seen)
    // That the copy is not what the witness has seen is told all the same.
    let other = try await place.relatch("retire", "erp", environment: trial)
    #expect(other.code == 65 && other.errorText.contains("witness usb has seen"), "\(other.errorText)")
    #expect(try Data(contentsOf: note) == newer)

    // The vault is lost, and a backup takes its place.
    let second = try await BackupTests.backup(place, to: "second.age")
    try FileManager.default.removeItem(at: place.vault)
    #expect(try await place.relatch("restore", second).code == 0)
    #expect(try await place.relatch("log", "witness", "submit").code == 0)
    let submitted = try Data(contentsOf: note)
    let after = try await place.relatch("rotate", "crm", "--replace-previous")
    #expect(after.code == 0 && !after.errorText.contains("usb"), "\(after.errorText)")
    #expect(try Data(contentsOf: note) != submitted)
  }

  @Test("Nothing is submitted for a vault that was only looked at, until an owner's key or an identity makes it known")
  func unknown() async throws {
    let place = try await Workplace()
    let (elsewhere, ran) = (place.folder.path + "/elsewhere", place.folder.path + "/ran")
    try FileManager.default.createDirectory(atPath: elsewhere + "/all", withIntermediateDirectories: true)
    let key = "witness.example/w1+d7ec3267+BO2NXp96io5WwyFvQUEMfhRIAsqSo9DZ83HT1Nfgqy6k"
    for witness in [
      ["usb", "--file", elsewhere + "/note"], ["worm", "--folder", elsewhere + "/all"],
      ["here", "--url", "http://127.0.0.1:1/w", "--key", key], ["run", "--key", key, "--", "/usr/bin/touch", ran],
    ] { #expect(try await place.run(Programs.relatch, ["log", "witness", "add"] + witness).code == 0) }
    func handedOver() throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: elsewhere).filter { $0 != "all" }
        + FileManager.default.contentsOfDirectory(atPath: elsewhere + "/all")
        + (FileManager.default.fileExists(atPath: ran) ? ["ran"] : [])
    }
    let owner = try #require(try await place.relatch("log", "verify", "--json").objects().first?["owner"] as? String)
    let anna = try await place.addMember("anna", "owner")
    #expect(try await place.relatch("read", "admin", environment: anna).code == 0)
    let other = try #require(
      try await place.relatch("log", "checkpoint", "--json", environment: anna).objects().first?["key"] as? String)

    let stranger = ["HOME": place.folder.path + "/stranger", "RELATCH_IDENTITY": "/nonexistent"]
    for look in [
      ["list"], ["status"], ["log", "verify"], ["log", "list"], ["log", "verify", "--owner", "x+00000000+AA=="],
      ["log", "verify", "--owner", other],
    ] {
      let looked = try await place.run(Programs.relatch, look, environment: stranger)
      let expected: Int32 = look.contains(other) ? 65 : look.contains("--owner") ? 64 : 0
      #expect(looked.code == expected, "\(looked.errorText)")
      let submitted = try await place.relatch("log", "witness", "submit", environment: stranger)
      expectFailure(submitted, 69, "has not taken the checkpoint: the vault is not known here yet")
      #expect(submitted.errorText.split(separator: "\n").count { $0.contains("is not known here yet") } == 4)
      #expect(try handedOver().isEmpty, "\(look)")
    }
    #expect(try await place.relatch("log", "verify", "--owner", owner, environment: stranger).code == 0)
    #expect(try await place.relatch("log", "witness", "submit", environment: stranger).code == 13)
    #expect(try handedOver().count == 3)

    // An identity that opens the vault makes it known, also for runs without an identity; looking at the log does not.
    let carl = try await place.addMember("carl", "operator", grants: ["admin"])
    let without = carl.merging(["RELATCH_IDENTITY": "/nonexistent"]) { $1 }
    for look in [["status"], ["log", "list"]] {
      #expect(try await place.run(Programs.relatch, look, environment: carl).code == 0)
      expectFailure(try await place.relatch("log", "witness", "submit", "usb", environment: without), 69)
    }
    #expect(try await place.relatch("read", "admin", environment: carl).code == 0)
    #expect(try await place.relatch("log", "witness", "submit", "usb", environment: without).code == 0)
    // A file that names another founder is not believed, nor is a damaged one.
    let trusted = place.folder.path + "/state-carl/relatch/trusted"
    let files = try FileManager.default.contentsOfDirectory(atPath: trusted)
    try #require(files.count == 1)
    for text in [other + "\n", "", owner] {
      try Data(text.utf8).write(to: URL(fileURLWithPath: "\(trusted)/\(files[0])"))
      expectFailure(try await place.relatch("log", "witness", "submit", "usb", environment: without), 69)
    }
    #expect(try await place.relatch("log", "verify", "--owner", owner, environment: without).code == 0)
    #expect(try await place.relatch("log", "witness", "submit", "usb", environment: without).code == 0)
  }

  @Test("An unreadable record of a witness is that witness's trouble only, and every command still works")
  func unreadable() async throws {
    let place = try await Workplace()
    for name in ["usb", "disk"] {
      let note = place.folder.path + "/" + name
      #expect(try await place.relatch("log", "witness", "add", name, "--file", note).code == 0)
    }
    #expect(try await place.relatch("log", "witness", "submit", "usb").code == 0)
    let record = try Self.record(place)
    try FileManager.default.removeItem(at: record)
    try FileManager.default.createDirectory(at: record, withIntermediateDirectories: false)
    for look in [
      ["status"], ["log", "verify"], ["log", "witness", "list"], ["metrics"], ["log", "bundle"], ["log", "checkpoint"],
    ] {
      let told = try await place.run(Programs.relatch, look)
      #expect(told.code == 0, "\(look): \(told.errorText)")
      guard !["bundle", "checkpoint", "metrics"].contains(look.last) else { continue }
      #expect((told.errorText + told.outputText).contains("is not a regular file"), "\(look): \(told.errorText)")
    }
    #expect(try await place.relatch("metrics").outputText.contains(#"relatch_witness_unseen_entries{witness="usb"}"#))
  }

  @Test(
    "A witness command gets only the checkpoint, and only an owner can name one",
    .enabled(if: WitnessServer.isAvailable, "needs python3 with PyNaCl"))
  func command() async throws {
    let place = try await Workplace()
    let witness = try await WitnessServer(place)
    let program = place.folder.appendingPathComponent("ask")
    let script = """
      #!/bin/sh
      env > "$1/environment"
      echo "for people: asking" >&2
      (echo "old $(cat "$1/old" 2>/dev/null || echo 0)"; echo; cat) > "$1/body"
      exec \(Programs.python ?? "") -c 'import sys, urllib.request
      data = open(sys.argv[1] + "/body", "rb").read()
      print(urllib.request.urlopen(sys.argv[2] + "/add-checkpoint", data).read().decode(), end="")' "$1" "$2"
      """
    try Data((script + "\n").utf8).write(to: program)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program.path)
    let operatorEnvironment = try await place.addMember("cron", "operator")
    let arguments = [
      "log", "witness", "add", "w2", "--key", witness.key, "--", program.path, witness.folder.path, witness.url,
    ]
    expectFailure(
      try await place.run(Programs.relatch, arguments, environment: operatorEnvironment), 77, "only owners")
    #expect(try await place.run(Programs.relatch, arguments).code == 0)
    // A user who does not know the vault does not run what it names, however often they look; nor does one who
    // remembers nothing of it.
    let stranger = ["HOME": place.folder.path + "/stranger", "RELATCH_IDENTITY": "/nonexistent"]
    for environment in [["HOME": "", "RELATCH_IDENTITY": "/nonexistent"], stranger, stranger] {
      let first = try await place.relatch("log", "witness", "submit", environment: environment)
      expectFailure(first, 69, "has not taken the checkpoint: the vault is not known here yet")
    }
    #expect(witness.read("environment").isEmpty)
    try await Self.trust(place, stranger)
    let known = stranger.merging(["SECRET_OF_MINE": "do-not-tell"]) { $1 }
    let run = try await place.relatch("log", "witness", "submit", environment: known)
    #expect(run.code == 0, "\(run.errorText)")
    let environment = witness.read("environment")
    #expect(environment.contains("PATH=") && !environment.contains("RELATCH") && !environment.contains("do-not-tell"))
    #expect(try await place.relatch("log", "verify", "--witness", witness.key).code == 0)
    #expect(try await place.relatch("read", "admin").code == 0)
    let missed = try await place.relatch("log", "witness", "submit")
    expectFailure(missed, 69, "has not taken the checkpoint")

    for (arguments, words) in [
      (["w3", "--url", "http://witness.example/x", "--key", witness.key], "expected https"),
      (["w3", "--url", witness.url], "need --key"), (["w3", "--file", "/x", "--url", witness.url], "one of"),
      (["a/b", "--file", "/x"], "name"), (["w3"], "one of"),
    ] { expectFailure(try await place.run(Programs.relatch, ["log", "witness", "add"] + arguments), 64, words) }
  }
}
