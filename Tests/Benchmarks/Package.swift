// swift-tools-version: 6.2
import PackageDescription

// A separate package, so that ordinary builds never compile it: `./run` builds it. It sees none of our declarations,
// only the program `relatch`.
let package = Package(
  name: "benchmarks",
  targets: [
    .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .systemLibrary(name: "CLibcurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    // A Salesforce-shaped org that answers faster than any client can ask.
    .executableTarget(name: "FastOrg", dependencies: ["CSodium"]),
    // The calls of a rotation with libcurl's multi interface and nothing else: the floor.
    .executableTarget(name: "Floor", dependencies: ["CLibcurl"]),
    // The hashes of a log with libsodium and nothing else: the floor of verifying it.
    .executableTarget(name: "HashFloor", dependencies: ["CSodium"]),
    // Durable commits of one row each with SQLite and nothing else: the floor of appending to it.
    .executableTarget(name: "CommitFloor", dependencies: ["CSQLite"]),
    // Measures what a process uses.
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
