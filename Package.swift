// swift-tools-version: 6.2
import PackageDescription

// `ls Sources` is the glossary and this file the diagram: one target per noun, and the arrows are the dependencies
// below. `Tests/LayerTests` matches every `import` against the same table, which docs/design.md prints with its
// reasons.

/// The strictness that all our targets share. Warnings become errors if `RELATCH_STRICT` is set, as CI does, so that a
/// newer compiler's new warning never keeps a user from building.
let strict: [SwiftSetting] =
  [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
  ] + (Context.environment["RELATCH_STRICT"] == nil ? [] : [.treatAllWarnings(as: .error)])

/// Only `Sodium` defines a value whose bytes may be borrowed but never outlive it.
let lifetimes: [SwiftSetting] = [.enableExperimentalFeature("Lifetimes")]

/// Swift's runtime needs C++'s. As a shared library that takes a third of the program's start time, because the dynamic
/// linker resolves 3,600 of its symbols at each start, so it is linked statically. lld reads the script in `.linking`,
/// and packs the 44,000 places that the dynamic linker writes to, a mebibyte, into a few kilobytes (glibc 2.36 or
/// later). Nothing looks up the 5,000 symbols that the static standard library's flags export.
let linking: [LinkerSetting] = [
  .unsafeFlags(
    [
      "-use-ld=lld", "-L\(Context.packageDirectory)/.linking", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
      "-Xlinker", "--no-export-dynamic", "-Xclang-linker", "-static-libgcc",
    ], .when(configuration: .release))
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "relatch",
  products: [
    .executable(name: "relatch", targets: ["relatch"]),
    .executable(name: "relatch-demo", targets: ["relatch-demo"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.1"),
  ],
  targets: [
    // What Swift cannot import: a module map and a shim each, nothing else.
    .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .target(name: "CCurl"),
    .target(name: "CSystem"),
    .target(name: "CExpat"),

    .target(name: "Sodium", dependencies: ["CSodium"], swiftSettings: strict + lifetimes),
    .target(name: "JSON", swiftSettings: strict),
    .target(name: "Age", dependencies: ["Sodium"], swiftSettings: strict),
    .target(name: "Storage", swiftSettings: strict),
    .target(name: "StorageSQLite", dependencies: ["Storage", "CSQLite"], swiftSettings: strict),
    .target(name: "Audit", dependencies: ["Sodium", "JSON", "Storage"], swiftSettings: strict),
    .target(name: "Vault", dependencies: ["Sodium", "JSON", "Age", "Storage", "Audit"], swiftSettings: strict),
    .target(name: "Transport", dependencies: ["CCurl", "Sodium"], swiftSettings: strict),
    .target(name: "OAuth", dependencies: ["Transport", "Sodium", "JSON"], swiftSettings: strict),
    .target(name: "Rotation", dependencies: ["Vault", "Audit", "Storage", "Sodium", "JSON"], swiftSettings: strict),
    .target(
      name: "Providers", dependencies: ["Rotation", "OAuth", "Transport", "Sodium", "JSON", "Audit", "Vault"],
      swiftSettings: strict),
    .target(
      name: "Delivery", dependencies: ["Rotation", "Vault", "Sodium", "JSON", "CSystem"], swiftSettings: strict),
    .target(name: "SalesforceMetadata", dependencies: ["CExpat"], swiftSettings: strict),
    .executableTarget(
      name: "relatch",
      dependencies: [
        "Sodium", "JSON", "Age", "Storage", "StorageSQLite", "Audit", "Vault", "Transport", "OAuth", "Rotation",
        "Providers", "Delivery", "SalesforceMetadata", "CSystem", argumentParser,
      ],
      swiftSettings: strict, linkerSettings: linking),

    // The hostile org shares no code with the client it tests, so that one misreading cannot hide in both.
    .target(
      name: "OrgSimulator",
      dependencies: [
        "CSodium", .product(name: "FlyingFox", package: "FlyingFox"),
        .product(name: "FlyingSocks", package: "FlyingFox"),
      ],
      swiftSettings: strict),
    .executableTarget(name: "org-simulator", dependencies: ["OrgSimulator", argumentParser], swiftSettings: strict),
    .testTarget(name: "OrgSimulatorTests", dependencies: ["OrgSimulator", "Loopback"], swiftSettings: strict),
    .executableTarget(
      name: "relatch-demo", dependencies: ["OrgSimulator", "OAuth", "Transport", "Sodium", argumentParser],
      swiftSettings: strict),

    // An HTTP client for tests that shares nothing with ours.
    .target(name: "Loopback", path: "Tests/Loopback", swiftSettings: strict),

    // Suites that every implementation of a protocol passes, fakes included, and what the tests of several targets
    // share.
    .target(name: "Contracts", dependencies: ["Storage", "Sodium"], path: "Tests/Contracts", swiftSettings: strict),
    .testTarget(name: "StorageTests", dependencies: ["Storage", "Contracts"], swiftSettings: strict),
    .testTarget(
      name: "StorageSQLiteTests", dependencies: ["Storage", "StorageSQLite", "Contracts"], swiftSettings: strict),
    .testTarget(
      name: "ScenarioTests",
      dependencies: [
        "Rotation", "Providers", "OrgSimulator", "Vault", "Audit", "Storage", "StorageSQLite", "Sodium", "JSON", "Age",
        "Transport", "Contracts",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "RotationTests",
      dependencies: ["Rotation", "Vault", "Audit", "Storage", "Sodium", "JSON", "Age", "Contracts"],
      swiftSettings: strict),
    .testTarget(
      name: "ProvidersTests",
      dependencies: [
        "Providers", "Rotation", "OAuth", "Transport", "Sodium", "JSON", "Vault", "Audit", "OrgSimulator", "Age",
        "Storage", "Loopback", "Delivery", "Contracts",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "DeliveryTests", dependencies: ["Delivery", "Rotation", "Vault", "Sodium", "JSON"], swiftSettings: strict),
    .testTarget(
      name: "SalesforceMetadataTests", dependencies: ["SalesforceMetadata", "CExpat"], exclude: ["Fixtures"],
      swiftSettings: strict),
    .testTarget(name: "OAuthTests", dependencies: ["OAuth", "Transport", "Sodium", "JSON"], swiftSettings: strict),
    // These tests run the programs, which are dependencies so that they are built. The others tell which secrets to
    // look for.
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "relatch", "org-simulator", "Loopback", "Age", "Audit", "Sodium", "StorageSQLite", "Vault", "Contracts",
      ],
      swiftSettings: strict),
    .testTarget(name: "SodiumTests", dependencies: ["Sodium"], swiftSettings: strict),
    .testTarget(name: "AgeTests", dependencies: ["Age", "Sodium"], swiftSettings: strict),
    .testTarget(name: "TransportTests", dependencies: ["Transport", "CCurl", "Sodium"], swiftSettings: strict),
    .testTarget(name: "JSONTests", dependencies: ["JSON", "Sodium"], swiftSettings: strict),
    .testTarget(
      name: "AuditTests", dependencies: ["Audit", "JSON", "Sodium", "Storage", "Contracts"], swiftSettings: strict),
    .testTarget(
      name: "ProcessTests",
      dependencies: [
        "relatch", "CSystem", "Age", "Audit", "Providers", "Rotation", "Sodium", "Storage", "Vault", "Contracts",
      ],
      swiftSettings: strict),
    .testTarget(name: "LayerTests", swiftSettings: strict),
    .testTarget(
      name: "VaultTests",
      dependencies: ["Vault", "Audit", "Storage", "StorageSQLite", "Sodium", "JSON", "Age", "Contracts"],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
