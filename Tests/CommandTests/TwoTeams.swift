import Foundation
import Testing

/// Two teams that share nothing but an org: each has its own vault, identity, and memory.
struct TwoTeams {
  let place: Workplace
  /// The environment of the receiving team's commands; the sending team's is the workplace's own.
  let theirs: [String: String]
  /// The teams' cards, in files.
  let (ownCard, card): (String, String)
  /// The teams' signing keys, as each team was told the other's.
  let (key, theirKey): (String, String)

  init(_ arguments: [String] = []) async throws {
    place = try await Workplace(arguments)
    let folder = place.folder.path
    theirs = [
      "RELATCH_VAULT": folder + "/vault-b", "RELATCH_IDENTITY": folder + "/identity-b",
      "XDG_STATE_HOME": folder + "/state-b",
    ]
    #expect(try await place.relatch("init", "--no-passphrase", environment: theirs).code == 0)
    try await place.add("admin", app: nil, environment: theirs)
    (ownCard, card) = (folder + "/a.card", folder + "/b.card")
    let shown = try await place.relatch("identity", "show", "--name", "bo", environment: theirs)
    try shown.output.write(to: URL(fileURLWithPath: card))
    let own = try await place.relatch("identity", "show")
    try own.output.write(to: URL(fileURLWithPath: ownCard))
    theirKey = try #require(try shown.objects().first?["signing"] as? String)
    key = try #require(try own.objects().first?["signing"] as? String)
  }

  func path(_ name: String) -> String { place.folder.path + "/" + name }

  /// Sends `name` and returns the file's path.
  func send(_ name: String, to recipient: String? = nil, _ more: [String] = []) async throws -> String {
    let file = path("handoff-\(UUID().uuidString).age")
    let sent = try await place.run(
      Programs.relatch, ["handoff", "send", name, "--to", recipient ?? card, "-o", file] + more)
    #expect(sent.code == 0, "\(sent.errorText)")
    return file
  }

  /// Runs a command of the receiving team, which was told the sender's key.
  func theirs(_ arguments: String..., stdin: String? = nil, identity: String? = nil) async throws -> Outcome {
    let knows = arguments.starts(with: ["handoff", "open"]) && Set(arguments).isDisjoint(with: ["--from", "--show"])
    return try await place.run(
      Programs.relatch, arguments + (knows ? ["--from", key] : []), stdin: stdin,
      environment: theirs.merging(identity.map { ["RELATCH_IDENTITY": $0] } ?? [:]) { $1 })
  }

  /// The handoff events of a team's log, in order.
  func events(_ environment: [String: String] = [:]) async throws -> [String] {
    try await place.relatch("log", "list", "--json", environment: environment.merging(Workplace.outsider) { $1 })
      .objects()
      .compactMap { $0["event"] as? String }.filter { $0.hasPrefix("handoff.") }
  }

  /// Both logs verify, and no log or terminal shows the pair.
  func expectIntact(sourceLocation: SourceLocation = #_sourceLocation) async throws {
    for environment in [[:], theirs] {
      let verified = try await place.relatch("log", "verify", environment: environment)
      #expect(verified.code == 0, "\(verified.errorText)", sourceLocation: sourceLocation)
      guard Intruder.isAvailable else { continue }
      let read = try await place.run(
        try #require(Programs.python),
        [
          Self.reader, environment["RELATCH_VAULT"] ?? place.vault.path, "--identity",
          environment["RELATCH_IDENTITY"] ?? place.identity.path,
        ])
      #expect(read.code == 0, "\(read.errorText)", sourceLocation: sourceLocation)
    }
  }

  private static let reader = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../Reader/relatch_reader.py").standardized.path
}
