// swift-tools-version: 6.2
import PackageDescription

// A separate package, because no command of `relatch` only appends to the log: `../run --log` builds it. `Library` is a
// link to `Sources`: the same files, built again as this package's own.

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

func library(_ name: String, _ dependencies: [Target.Dependency], _ settings: [SwiftSetting] = []) -> Target {
  .target(name: name, dependencies: dependencies, path: "Library/\(name)", swiftSettings: strict + settings)
}

let package = Package(
  name: "appends",
  targets: [
    .systemLibrary(name: "CSodium", path: "Library/CSodium", pkgConfig: "libsodium"),
    .systemLibrary(name: "CSQLite", path: "Library/CSQLite", pkgConfig: "sqlite3"),
    library("Sodium", ["CSodium"], [.enableExperimentalFeature("Lifetimes")]),
    library("JSON", []),
    library("Age", ["Sodium"]),
    library("Storage", []),
    library("StorageSQLite", ["Storage", "CSQLite"]),
    library("Audit", ["Sodium", "JSON", "Storage"]),
    library("Vault", ["Sodium", "JSON", "Age", "Storage", "Audit"]),
    .executableTarget(
      name: "appends", dependencies: ["Sodium", "Age", "Storage", "StorageSQLite", "Audit", "Vault", "JSON"],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
