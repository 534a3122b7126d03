import Foundation
import Testing

/// One command run many times, each on a copy of one vault with an app of its own: at its first call, at its second, and so
/// on, something is done to it.
struct PointSweep {
  /// So many apps the org has: no command may reach as many points.
  private static let most = 90
  private static let width = 4

  let place: Workplace

  init(_ simulatorArguments: [String] = []) async throws {
    place = try await Workplace(["--apps", "\(Self.most)"] + simulatorArguments)
  }

  /// What `strike` found at each point that was reached; it gives nil where the command ended before. Nil if nothing can be
  /// traced here.
  func run<Found: Sendable>(_ strike: @escaping @Sendable (Int) async throws -> Found?) async throws -> [Found]? {
    let probe = try await place.run(Programs.strace ?? "", ["-f", "-o", "/dev/null", "/bin/true"])
    guard probe.code == 0 else {
      print("skipped: processes cannot be traced here: \(probe.errorText)")
      return nil
    }
    var reached: [Found] = []
    var next = 1
    while next + Self.width <= Self.most {
      let found = try await withThrowingTaskGroup(of: Found?.self) { group in
        for point in next..<next + Self.width { group.addTask { try await strike(point) } }
        return try await group.reduce(into: [Found?]()) { $0.append($1) }
      }
      reached += found.compactMap(\.self)
      next += Self.width
      // Threads count for themselves, so that a late point may be missed once.
      if found.allSatisfy({ $0 == nil }) { break }
    }
    #expect(next + Self.width <= Self.most)
    return reached
  }

  /// Copies the vault for `point`. Returns the environment that the copy is used in: many copies of one vault go on side by
  /// side, each as its own user sees it.
  func copy(for point: Int) throws -> [String: String] {
    let vault = place.folder.path + "/vault-\(point)"
    let environment = ["RELATCH_VAULT": vault, "XDG_STATE_HOME": place.folder.path + "/state-\(point)"]
    try FileManager.default.copyItem(atPath: place.vault.path, toPath: vault)
    return environment
  }

  /// The same, and adds the app of that number as `name`.
  func copy(for point: Int, adding name: String, policy: [String] = ["propagation=0s"]) async throws -> [String: String]
  {
    let environment = try copy(for: point)
    try await place.add(name, app: point, policy: policy, environment: environment)
    return environment
  }
}
