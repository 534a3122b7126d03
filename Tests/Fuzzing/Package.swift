// swift-tools-version: 6.2
import PackageDescription

// A separate package, so that ordinary builds never compile it: `./run` builds it. `Library` is a link to `Sources`:
// the same files, built again as this package's own, so that fuzz targets reach what is `package` or internal there.

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

func library(_ name: String, _ dependencies: [Target.Dependency], _ settings: [SwiftSetting] = []) -> Target {
  .target(name: name, dependencies: dependencies, path: "Library/\(name)", swiftSettings: strict + settings)
}

let package = Package(
  name: "fuzzing",
  targets: [
    .systemLibrary(name: "CSodium", path: "Library/CSodium", pkgConfig: "libsodium"),
    library("CCurl", []),
    library("CSystem", []),
    library("Sodium", ["CSodium"], [.enableExperimentalFeature("Lifetimes")]),
    library("JSON", []),
    library("Age", ["Sodium"]),
    library("Storage", []),
    library("Audit", ["Sodium", "JSON", "Storage"]),
    library("Vault", ["Sodium", "JSON", "Age", "Storage", "Audit"]),
    library("Transport", ["CCurl", "Sodium"]),
    library("OAuth", ["Transport", "Sodium", "JSON"]),
    library("Rotation", ["Vault", "Audit", "Storage", "Sodium", "JSON"]),
    library("Providers", ["Rotation", "OAuth", "Transport", "Sodium", "JSON", "Vault", "Audit"]),
    library("Delivery", ["Rotation", "Vault", "Sodium", "JSON", "CSystem"]),
    .executableTarget(
      name: "fuzz",
      dependencies: [
        "Sodium", "JSON", "Age", "Storage", "Audit", "Vault", "Transport", "OAuth", "Rotation", "Providers", "Delivery",
      ],
      // libFuzzer brings the `main`.
      swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]),
  ],
  swiftLanguageModes: [.v6]
)
