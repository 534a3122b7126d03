import Foundation
import Testing

/// One command run many times, each time on a copy of one vault with an app of its own. Something is done to it at its
/// first call, at its second, and so on.
struct PointSweep {
  /// How many apps the org has: no command may reach as many points.
  private static let maximum = 90
  private static let width = 4

  let place: Workplace

  init(_ simulatorArguments: [String] = []) async throws {
    place = try await Workplace(["--apps", "\(Self.maximum)"] + simulatorArguments)
  }

  /// What `strike` found at each point that was reached; it returns nil if the command ended earlier. Nil if processes
  /// cannot be traced here.
  func run<Found: Sendable>(_ strike: @escaping @Sendable (Int) async throws -> Found?) async throws -> [Found]? {
    let probe = try await place.run(Programs.strace ?? "", ["-f", "-o", "/dev/null", "/bin/true"])
    guard probe.code == 0 else {
      print("skipped: processes cannot be traced here: \(probe.errorText)")
      return nil
    }
    var reached: [Found] = []
    var next = 1
    while next + Self.width <= Self.maximum {
      let found = try await withThrowingTaskGroup(of: Found?.self) { group in
        for point in next..<next + Self.width { group.addTask { try await strike(point) } }
        return try await group.reduce(into: [Found?]()) { $0.append($1) }
      }
      reached += found.compactMap(\.self)
      next += Self.width
      // Calls are counted for each thread separately, so a late point may be missed once.
      if found.allSatisfy({ $0 == nil }) { break }
    }
    #expect(next + Self.width <= Self.maximum)
    return reached
  }

  /// Copies the vault for `point`. Returns the environment in which to use the copy: many copies of one vault are used
  /// side by side, each as if by its own user.
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
