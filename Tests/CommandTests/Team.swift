import Foundation
import Testing

/// Members other than the one who made the vault, each with their own identity and place for what they remember.
extension Workplace {
  /// The environment of a member's commands; makes the member's identity if there is none.
  func environment(of member: String) async throws -> [String: String] {
    let identity = folder.path + "/identity-\(member)"
    let environment = ["RELATCH_IDENTITY": identity, "XDG_STATE_HOME": folder.path + "/state-\(member)"]
    if !FileManager.default.fileExists(atPath: identity) {
      let made = try await relatch("identity", "new", "--no-passphrase", environment: environment)
      #expect(made.code == 0, "\(made.errorText)")
    }
    return environment
  }

  /// The card that the member's own machine prints.
  func card(of member: String) async throws -> String {
    try await relatch("identity", "show", "--name", member, environment: environment(of: member)).outputText
  }

  /// Makes `name` a member with grants on `credentials`. Returns the environment of the member's commands.
  @discardableResult
  func addMember(_ name: String, _ role: String, grants credentials: [String] = []) async throws -> [String: String] {
    let added = try await relatch("member", "add", "-", "--role", role, stdin: card(of: name))
    #expect(added.code == 0, "\(added.errorText)")
    for credential in credentials {
      let granted = try await relatch("grant", credential, name)
      #expect(granted.code == 0, "\(granted.errorText)")
    }
    return try await environment(of: name)
  }

  /// The names of the files in the vault's folder of keys.
  func keyFiles() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: vault.path + "/keys").sorted()
  }

  /// The reasons that `plan` gives, by credential.
  func planned() async throws -> [String: String] {
    let plan = try await relatch("plan", "--due", "--offline", "--json")
    #expect(plan.code == 0, "\(plan.errorText)")
    return try plan.objects().reduce(into: [:]) { reasons, object in
      let schedule = object["schedule"] as? [String: Any]
      reasons[object["credential"] as? String ?? ""] = schedule?["reason"] as? String
    }
  }
}

/// A member's own program that tries every key it can reach: `Tests/Reader/relatch_intruder.py`.
struct Intruder {
  struct Found: Decodable, Hashable {
    let credential: String
    let version: Int
    let client_id: String
    let client_secret: String

    var pair: SimulatedOrg.IssuedPair { .init(key: client_id, secret: client_secret) }
  }

  private struct Haul: Decodable {
    let keys: Int
    let records: Int
    let pairs: [Found]
  }

  private static let program = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../Reader/relatch_intruder.py").standardized.path

  /// Whether it can run here: it needs age, and Python with PyNaCl.
  static let isAvailable: Bool = {
    guard Programs.age != nil, let python = Programs.python else { return false }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: python)
    process.arguments = ["-c", "import nacl"]
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }()

  let place: Workplace

  /// Every pair that it opens in `folders` with what `members` have.
  func pairs(_ members: [String], in folders: [String]) async throws -> Set<Found> {
    let identities = members.flatMap { ["--identity", place.folder.path + "/identity-\($0)"] }
    let run = try await place.run(try #require(Programs.python), [Self.program] + identities + folders)
    #expect(run.code == 0, "\(run.errorText)")
    let haul = try JSONDecoder().decode(Haul.self, from: run.output)
    #expect(haul.records > 0 && haul.keys > 0)
    return Set(haul.pairs)
  }
}
