/// What each target may import: exactly the table of docs/design.md, and the system's modules besides.
struct Layer: Sendable {
  let target: String
  /// Our own targets.
  let ours: Set<String>
  /// Modules of the toolchain, the system and other packages. No row of the shipped program has `Foundation`: it brings
  /// 40 MB of ICU and costs 3 ms at each start.
  let others: Set<String>
  /// C targets and executables may have any number of files.
  let isLibrary: Bool

  var mayImport: Set<String> { ours.union(others) }

  static func library(_ target: String, _ ours: Set<String>, and others: Set<String> = []) -> Layer {
    Layer(target: target, ours: ours, others: others, isLibrary: true)
  }

  static func executable(_ target: String, _ ours: Set<String>, and others: Set<String> = []) -> Layer {
    Layer(target: target, ours: ours, others: others, isLibrary: false)
  }

  static func shim(_ target: String) -> Layer { Layer(target: target, ours: [], others: [], isLibrary: false) }
}

/// From the bottom to the top.
let layers: [Layer] = [
  .shim("CSodium"), .shim("CCurl"), .shim("CSQLite"), .shim("CSystem"), .shim("CExpat"),
  .library("JSON", []),
  .library("Sodium", ["CSodium"], and: ["Glibc"]),
  .library("Age", ["Sodium"]),
  .library("Storage", [], and: ["Synchronization"]),
  .library("StorageSQLite", ["Storage", "CSQLite"], and: ["Dispatch", "Glibc", "Synchronization"]),
  .library("Audit", ["Sodium", "JSON", "Storage"], and: ["Dispatch", "Synchronization"]),
  .library("Vault", ["Sodium", "JSON", "Age", "Storage", "Audit"], and: ["Glibc", "Synchronization"]),
  .library("Transport", ["CCurl", "Sodium"], and: ["Glibc"]),
  .library("OAuth", ["Transport", "Sodium", "JSON"]),
  .library("Rotation", ["Vault", "Audit", "Storage", "Sodium", "JSON"], and: ["Glibc"]),
  .library(
    "Providers", ["Rotation", "OAuth", "Transport", "Sodium", "JSON", "Vault", "Audit"], and: ["Synchronization"]),
  .library("Delivery", ["Rotation", "Vault", "Sodium", "JSON", "CSystem"], and: ["Glibc", "Synchronization"]),
  .library("SalesforceMetadata", ["CExpat"], and: ["Glibc"]),
  .executable(
    "relatch",
    [
      "Sodium", "JSON", "Age", "Storage", "StorageSQLite", "Audit", "Vault", "Transport", "OAuth", "Rotation",
      "Providers", "Delivery", "SalesforceMetadata", "CSystem",
    ], and: ["ArgumentParser", "Glibc", "Synchronization"]),
  // Shares no code with the client it tests.
  .library(
    "OrgSimulator", ["CSodium"], and: ["FlyingFox", "FlyingSocks", "FoundationEssentials", "Glibc", "Synchronization"]),
  .executable("org-simulator", ["OrgSimulator"], and: ["ArgumentParser", "Glibc"]),
  // Foundation starts the program under demonstration; nothing of the demo is shipped.
  .executable(
    "relatch-demo", ["OrgSimulator", "OAuth", "Transport", "Sodium"], and: ["ArgumentParser", "Foundation", "Glibc"]),
]
