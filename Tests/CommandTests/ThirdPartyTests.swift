import Audit
import Foundation
import Sodium
import Testing

@Suite("Independent verifiers")
struct ThirdPartyTests {
  private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../Verifiers").standardized.path
  private static let modules = "/usr/share/gocode"
  static let hasGo =
    Programs.go != nil && FileManager.default.fileExists(atPath: modules + "/src/golang.org/x/mod/sumdb/tlog")

  /// Builds the Go program into the folder of `place`. It needs only Debian's Go and libraries.
  static func verifier(in place: Workplace) async throws -> String {
    let program = place.folder.path + "/verify"
    let built = try await place.run(
      try #require(Programs.go), ["build", "-o", program, sources + "/verify.go"],
      environment: [
        "GO111MODULE": "off", "GOPATH": modules, "GOCACHE": place.folder.path + "/go-cache", "GOFLAGS": "",
      ])
    #expect(built.code == 0, "\(built.errorText)")
    return program
  }

  /// A vault whose log has entries by two members, and the files that prove each of them.
  private static func provenPlace() async throws -> (place: Workplace, keys: [Int: String]) {
    let place = try await Workplace()
    try await place.add("crm")
    let anna = try await place.addMember("anna", "owner")
    #expect(try await place.relatch("policy", "crm", "grace=1h", environment: anna).code == 0)
    var keys: [Int: String] = [:]
    let size = try #require(try await place.relatch("log", "verify", "--json").objects().first?["entries"] as? Int)
    for entry in 0..<size {
      let proved = try await place.relatch(
        "log", "prove", "\(entry)", "-o", "\(place.folder.path)/\(entry).proof", "--text",
        "\(place.folder.path)/\(entry).json", "--json")
      #expect(proved.code == 0, "\(proved.errorText)")
      keys[entry] = try proved.objects().first?["key"] as? String
    }
    #expect(size > 5 && keys.count == size)
    return (place, keys)
  }

  @Test(
    "Go accepts every entry's proof and the checkpoint, and refuses them with any one bit flipped",
    .enabled(if: hasGo, "needs golang-go and golang-golang-x-mod-dev"))
  func goVerifiesTheProgramsOutput() async throws {
    let (place, keys) = try await Self.provenPlace()
    let verify = try await Self.verifier(in: place)
    let note = place.folder.path + "/checkpoint"
    let told = try #require(try await place.relatch("log", "checkpoint", "-o", note, "--json").objects().first)
    let key = try #require(told["key"] as? String)
    #expect(try await place.run(verify, ["note", key, note]).code == 0)
    let printed = try await place.relatch("log", "checkpoint", "--quiet")
    #expect(try printed.output == Data(contentsOf: URL(fileURLWithPath: note)) && printed.errors.isEmpty)
    for (entry, key) in keys {
      let files = ["\(place.folder.path)/\(entry).proof", "\(place.folder.path)/\(entry).json"]
      let run = try await place.run(verify, ["proof", key] + files)
      #expect(run.code == 0, "entry \(entry): \(run.errorText)")
      let other = "\(place.folder.path)/\((entry + 1) % keys.count).json"
      #expect(try await place.run(verify, ["proof", key, files[0], other]).code == 1)
    }
    let last = keys.count - 1
    let flipped = try await place.run(
      verify, ["bits", keys[last] ?? "", "\(place.folder.path)/\(last).proof", "\(place.folder.path)/\(last).json"])
    #expect(flipped.code == 0 && flipped.outputText.hasPrefix("refused "), "\(flipped.errorText)")
  }

  @Test(
    "Go accepts every proof of every tree up to 100 leaves, and refuses them with one bit flipped",
    .enabled(if: hasGo, "needs golang-go and golang-golang-x-mod-dev"))
  func goVerifiesEveryProof() async throws {
    var nodes: [MerkleTree.Node: SHA256Digest] = [:]
    var frontier = MerkleFrontier()
    var lines = ["root 0 \(base64(frontier.root))"]
    for leaf in 0..<100 {
      frontier.append(leafHash: MerkleTree.leafHash([UInt8(leaf)])) { nodes[$0] = $1 }
      lines.append("root \(leaf + 1) \(base64(frontier.root))")
    }
    func node(_ node: MerkleTree.Node) throws -> SHA256Digest { try #require(nodes[node]) }
    for size in 1...100 {
      for index in 0..<size {
        let path = try InclusionProof(of: UInt64(index), size: UInt64(size), node).path
        lines.append((["inclusion \(index) \(size)"] + path.map(base64)).joined(separator: " "))
      }
      for first in 1...size {
        let path = try ConsistencyProof(from: UInt64(first), to: UInt64(size), node).path
        lines.append((["consistency \(first) \(size)"] + path.map(base64)).joined(separator: " "))
      }
    }
    let place = try await Workplace(addsAdmin: false)
    let file = place.folder.path + "/proofs"
    try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: file))
    // All bits of all of them are 21 million, and take Go a minute: "100" instead of "24".
    let run = try await place.run(try await Self.verifier(in: place), ["trees", file, "24"])
    #expect(run.outputText.hasPrefix("accepted 10100, refused "), "\(run.errorText)")
  }

  @Test(
    "OpenSSL and Python accept every entry's proof, and refuse altered ones",
    .enabled(if: Programs.python != nil && Programs.openssl != nil, "needs openssl and python3"))
  func opensslVerifiesTheProgramsOutput() async throws {
    let (place, keys) = try await Self.provenPlace()
    let python = try #require(Programs.python)
    func code(_ key: String, _ proof: String, _ entry: String) async throws -> Int32 {
      try await place.run(python, [Self.sources + "/verify.py", key, proof, entry]).code
    }
    for (entry, key) in keys {
      #expect(try await code(key, "\(place.folder.path)/\(entry).proof", "\(place.folder.path)/\(entry).json") == 0)
    }
    let (proof, entry) = ("\(place.folder.path)/3.proof", "\(place.folder.path)/3.json")
    #expect(try await code(keys[3] ?? "", proof, "\(place.folder.path)/2.json") == 1)
    let stranger = try #require(try await place.relatch("log", "verify", "--json").objects().first?["owner"] as? String)
    #expect(stranger != keys[3])
    #expect(try await code(stranger, proof, entry) == 1)
    let whole = try Data(contentsOf: URL(fileURLWithPath: proof))
    for place in stride(from: 24, to: whole.count, by: 29) {
      var altered = whole
      altered[place] ^= 1
      try altered.write(to: URL(fileURLWithPath: proof))
      #expect(try await code(keys[3] ?? "", proof, entry) == 1, "byte \(place)")
    }
  }

  @Test(
    "Python refuses an entry's proof under an index that the log lacks, even if the path to the root is the same",
    .enabled(if: Programs.python != nil && Programs.openssl != nil, "needs openssl and python3"))
  func strangeIndex() async throws {
    let place = try await Workplace()
    let python = try #require(Programs.python)
    func size() async throws -> Int {
      try #require(try await place.relatch("log", "verify", "--json").objects().first?["entries"] as? Int)
    }
    // Then the last entry is on the right all the way up, as are the index after each doubling and -1.
    while try await size().nonzeroBitCount != 1 { #expect(try await place.relatch("read", "admin").code == 0) }
    let last = try await size() - 1
    let (proof, entry) = (place.folder.path + "/proof", place.folder.path + "/entry")
    let proved = try await place.relatch("log", "prove", "\(last)", "-o", proof, "--text", entry, "--json")
    let key = try #require(try proved.objects().first?["key"] as? String)
    let whole = try String(contentsOfFile: proof, encoding: .utf8)
    for (index, code) in [(last, 0), (2 * last + 1, 1), (-1, 1)] as [(Int, Int32)] {
      try whole.replacing("\nindex \(last)\n", with: "\nindex \(index)\n").write(
        toFile: proof, atomically: true, encoding: .utf8)
      #expect(try await place.run(python, [Self.sources + "/verify.py", key, proof, entry]).code == code, "\(index)")
    }
  }

  private func base64(_ digest: SHA256Digest) -> String { Data(digest.bytes).base64EncodedString() }
}

@Suite("Checkpoints and proofs of the program")
struct LogProofTests {
  @Test("A checkpoint kept elsewhere reveals another history, and an entry that does not exist has no proof")
  func checkpoints() async throws {
    let place = try await Workplace()
    let old = place.folder.path + "/old"
    #expect(try await place.relatch("log", "checkpoint", "-o", old).code == 0)
    let before = place.folder.appendingPathComponent("before")
    try FileManager.default.copyItem(at: place.vault, to: before)
    try await place.add("crm")
    let new = place.folder.path + "/new"
    #expect(try await place.relatch("log", "checkpoint", "-o", new).code == 0)
    #expect(try await place.relatch("log", "verify", "--checkpoint", old, "--checkpoint", new).code == 0)

    // An outsider who remembers only the file.
    let outsider = ["HOME": place.folder.path + "/outsider", "RELATCH_IDENTITY": "/nonexistent"]
    expectFailure(
      try await place.relatch(
        "log", "verify", "--checkpoint", new, "--vault", before.path, environment: outsider), 65,
      "remembered checkpoint")
    #expect(
      try await place.relatch("log", "verify", "--checkpoint", old, "--vault", before.path, environment: outsider).code
        == 0)
    let other = try await Workplace()
    let stranger = try await other.relatch("log", "verify", "--checkpoint", old)
    expectFailure(stranger, 65, "the log does not extend --checkpoint")
    #expect(stranger.errorText.contains("/old\" belongs to another vault"), "\(stranger.errorText)")
    #expect(try await place.relatch("log", "verify", "--checkpoint", new).outputText.contains("\nextends  \""))
    expectFailure(try await place.relatch("log", "verify", "--checkpoint", place.folder.path + "/none"), 66)
    expectFailure(try await place.relatch("log", "verify", "--checkpoint", place.identity.path), 65, "--checkpoint")
    expectFailure(try await place.relatch("log", "prove", "1000000"), 66, "the log has entries 0 to ")
    expectFailure(try await place.relatch("log", "prove", "-1"), 64)
  }
}
