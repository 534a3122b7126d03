import Foundation
import Synchronization
import Testing

@Suite("Secrets stay where they belong")
struct SecretsTests {
  @Test("The search finds every form of a secret, at each alignment, in files, output and a process")
  func searchFinds() async throws {
    let place = try await Workplace(addsAdmin: false)
    let secret = Data("a/secret+of~some?length\u{FF}".utf8)
    let search = SecretSearch(["it": secret])
    for (name, bytes) in SecretSearch.forms(of: secret) {
      #expect(search.findings(in: Data("xy".utf8) + bytes + Data("z".utf8), "there").contains("it as \(name) in there"))
    }
    for length in 0...5 {
      let text = (Data(repeating: 0xA5, count: length) + secret + Data(repeating: 0x5A, count: length))
        .base64EncodedString()
      #expect(!search.findings(in: Data(text.utf8), "there").isEmpty, "base64 after \(length) bytes")
      let safe = text.replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
      #expect(!search.findings(in: Data(safe.utf8), "there").isEmpty, "url-safe base64 after \(length) bytes")
    }
    let planted = place.vault.appendingPathComponent("keys/planted")
    try (Data(count: 5000) + secret + Data(count: 5000)).write(to: planted)
    #expect(try search.findings(below: place.vault) == ["it as plain in keys/planted"])
    let plain = SecretSearch(["it": Data("in-plain-sight".utf8)])
    let inArguments = try place.start("/bin/sh", arguments: ["-c", "sleep 60; :", "in-plain-sight"])
    let inEnvironment = try place.start(
      "/bin/sleep", arguments: ["60"], environment: ["TOKEN": "in-plain-sight"])
    for run in [inArguments, inEnvironment] {
      #expect(try await plain.findings(inProcess: run.pid)?.count == 1)
      run.send(SIGKILL)
    }
    #expect(SecretSearch(["it": secret]).findings(in: Data(count: 100), "nothing").isEmpty)
  }

  @Test("After a whole life with failures, no secret is in the vault's files, the output, the log or a process")
  func nothingFound() async throws {
    let place = try await Workplace(["--apps", "2"])
    var secrets: Set<SimulatedOrg.IssuedPair> = []
    let said = Mutex(Data())
    func relatch(_ arguments: String..., stdin: String? = nil) async throws {
      let outcome = try await place.run(Programs.relatch, arguments, stdin: stdin)
      said.withLock { $0 += outcome.output + outcome.errors }
      secrets.formUnion(try await place.org.pairs())
    }
    secrets.formUnion(try await place.org.pairs())
    try await place.add("crm")
    try await place.add("erp", app: 2)
    // A pair that is staged, saved and discarded, then one whose run is killed, then two that are used and retired.
    try await place.org.set("conditions", ["poisonsNextStagedPair": true])
    try await place.org.fault("slow", "GET", "*/staged", count: 1, ["skip": 1, "seconds": 1])
    let rejecting = try place.start(arguments: ["rotate", "erp", "--json"])
    try await rejecting.wait("the pair is refused") { output, _ in output.contains("\"rejected\"") }
    secrets.formUnion(try await place.org.pairs())
    let rejected = try await rejecting.outcome()
    #expect(rejected.code == 10 && secrets.count == 4, "\(rejected.errorText)")
    said.withLock { $0 += rejected.output + rejected.errors }
    try await place.org.fault("slow", "POST", "*/token", count: 1, ["skip": 1, "seconds": 60])
    let process = try place.start(arguments: ["rotate", "crm", "--json"])
    try await process.wait("a pair is staged") { output, _ in output.contains("validate.intended") }
    secrets.formUnion(try await place.org.pairs())
    let running = try await search(for: secrets, in: place).findings(inProcess: process.pid)
    if running == nil {
      print("skipped: the kernel does not show the arguments and environment of this user's relatch")
    }
    #expect(running ?? [] == [])
    process.send(SIGKILL)
    let killed = try await process.outcome()
    said.withLock { $0 += killed.output + killed.errors }
    try await place.org.clearFaults()
    try await place.org.fault("garbage", "PATCH", "*", count: 1)
    for _ in 1...2 {
      try await relatch("rotate", "crm", "erp", "--json")
      try await relatch("rotate", "crm", "erp")
      try await relatch("status")
      try await relatch("retire", "crm", "erp")
    }
    _ = try await place.relatch("read", "crm")
    try await relatch("add", "bad", "--provider", "salesforce", stdin: try await place.org.primary().document)
    try await relatch(
      "add", "crm", "--provider", "salesforce", "--set", "url=\(place.org.url)",
      stdin: try await place.org.primary().document)
    try await relatch("log", "list")
    try await relatch("log", "list", "--json")
    try await relatch("log", "verify", "--json")
    try await relatch("show", "crm", "--json")
    try await relatch("list", "--json")

    #expect(secrets.count == 8)
    let search = try await search(for: secrets, in: place)
    #expect(try search.findings(below: place.vault) == [])
    #expect(said.withLock { search.findings(in: $0, "the output") } == [])
    let files = try FileManager.default.subpathsOfDirectory(atPath: place.vault.path)
    #expect(files.contains("vault.db") && files.contains("vault.db-wal"), "\(files)")
    print("secrets looked for: \(secrets.count) pairs, \(search.patterns.count) patterns, in \(files.count) files")
  }

  /// Searches for the parts of every pair, the identity, the vault key, and the beginning of the org's access tokens.
  private func search(for pairs: Set<SimulatedOrg.IssuedPair>, in place: Workplace) async throws -> SecretSearch {
    var secrets: [String: Data] = [:]
    for (number, pair) in pairs.enumerated() {
      secrets["client_id \(number)"] = Data(pair.key.utf8)
      secrets["client_secret \(number)"] = Data(pair.secret.utf8)
    }
    secrets["access token"] = Data("\(try await place.org.organizationID())!".utf8)
    let identity = try String(contentsOf: place.identity, encoding: .utf8).split(separator: "\n")
    secrets["identity"] = Data(try #require(identity.first { $0.hasPrefix("AGE-SECRET-KEY-1") }).utf8)
    if let age = Programs.age {
      for name in try FileManager.default.contentsOfDirectory(atPath: place.vault.path + "/keys") {
        let path = place.vault.path + "/keys/" + name
        secrets["vault key"] = try await place.run(age, ["-d", "-i", place.identity.path, path]).output
      }
    }
    return SecretSearch(secrets)
  }
}
