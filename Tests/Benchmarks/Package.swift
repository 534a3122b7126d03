// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that ordinary builds never compile it: `./run` builds it. It sees no declaration of ours,
// only the program `relatch`.
let package = Package(
  name: "benchmarks",
  targets: [
    .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .systemLibrary(name: "CLibcurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    // A Salesforce-shaped org that answers faster than any client asks.
    .executableTarget(name: "FastOrg", dependencies: ["CSodium"]),
    // The calls of a rotation by libcurl's multi interface and nothing else: the floor.
    .executableTarget(name: "Floor", dependencies: ["CLibcurl"]),
    // The hashes of a log by libsodium and nothing else: the floor of verifying it.
    .executableTarget(name: "HashFloor", dependencies: ["CSodium"]),
    // Durable commits of one row each by SQLite and nothing else: the floor of appending to it.
    .executableTarget(name: "CommitFloor", dependencies: ["CSQLite"]),
    // What a process took.
    .executableTarget(name: "Measure"),
    .executableTarget(
      name: "benchmarks",
      swiftSettings: [
        .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)
