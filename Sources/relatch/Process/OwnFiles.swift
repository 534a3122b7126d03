import Glibc
import Vault

/// The files that relatch itself lives on: the vault, what is remembered of vaults, and the identity. A sink or a
/// metrics file in their place would replace them.
struct OwnFiles: Sendable {
  private let folders: [(path: String, what: String)]
  private let files: [(path: String, what: String)]

  init(_ places: Places) {
    folders =
      [(places.vault, "the vault's folder")]
      + [places.stateFolder].compactMap { $0.map { ($0, "the folder of what is remembered of vaults") } }
    files =
      [try? places.identity].compactMap { $0.map { ($0, "the identity") } }
      + [try? Places.programs].compactMap { $0.map { ($0, "the list of allowed programs") } }
  }

  /// Fails with `usage` if the file at the absolute `path` is one of these or would lie among them, however its path is
  /// spelt. `what` names what is to be written there.
  func requireNone(at path: String, for what: String) throws {
    guard let found = found(at: path) else { return }
    throw Failure(
      .usage, "\(Name.printable(path)) is \(found): \(what) would replace what relatch needs",
      hint: "name a file elsewhere, in a folder of its own")
  }

  /// Whether the file at the absolute `path` is one of these, or would lie among them.
  func contain(_ path: String) -> Bool { found(at: path) != nil }

  /// What is missing may be made later: a path with `..` is therefore also taken as it is written.
  private func found(at path: String) -> String? {
    owner(of: path) ?? owner(of: PrivateFile.resolved(path)) ?? owner(of: Paths.normalized(path))
  }

  private func owner(of path: String) -> String? {
    for file in files where Self.isSame(path, file.path) || Paths.place(of: path) == Paths.place(of: file.path) {
      return file.what
    }
    // Up from the nearest folder there is: a name that is missing now may be made later.
    var folder = Paths.folder(of: path)
    while !folder.isEmpty, !PrivateFile.exists(folder) { folder = Paths.folder(of: folder) }
    folder = PrivateFile.resolved(folder.isEmpty ? "/" : folder)
    while !folder.isEmpty {
      for own in folders where Self.isSame(folder, own.path) { return "in \(own.what)" }
      folder = Paths.folder(of: folder)
    }
    return nil
  }

  private static func isSame(_ first: String, _ second: String) -> Bool {
    var (one, other) = (stat(), stat())
    return stat(first, &one) == 0 && stat(second, &other) == 0 && one.st_dev == other.st_dev
      && one.st_ino == other.st_ino
  }
}
