import Glibc

/// A folder that is filled beside the place it is made for, and takes that place as a whole when it is finished. If its
/// process dies before that, the next one made for the same place removes it.
package final class UnfinishedFolder {
  /// Where it is filled; mode 0700.
  package let path: String
  /// The absolute path of the place it is made for.
  package let place: String
  /// Locked as long as this process lives: one that is not locked was left behind by another process.
  private let descriptor: Int32
  private var isFinished = false

  /// Makes it. Throws `alreadyExists` if there is something at `place` other than an empty folder; `cannotWrite`.
  package init(for place: String) throws {
    let parent = PrivateFile.folder(of: Self.trimmed(place))
    try PrivateFile.createFolder(parent)
    self.place = try Self.absolute(Self.trimmed(place))
    try Self.requireFree(self.place)
    Self.removeRemains(of: self.place)
    var template = Array((self.place + Self.infix + "XXXXXX").utf8CString)
    let isMade = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.map { mkdtemp($0) != nil } ?? false
    }
    guard isMade else { throw PrivateFile.failure(writing: self.place) }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let failure = PrivateFile.failure(writing: path)
      if descriptor >= 0 { close(descriptor) }
      rmdir(path)
      throw failure
    }
    self.path = path
    self.descriptor = descriptor
  }

  deinit {
    if !isFinished { Self.remove(path) }
    close(descriptor)
  }

  /// Puts it in its place, durably. Throws `alreadyExists` if something has come there meanwhile; `cannotWrite`.
  package func finish() throws {
    try PrivateFile.synchronize(path)
    // rename() replaces an empty folder, and refuses one that is not empty.
    guard rename(path, place) == 0 else {
      if errno == ENOTEMPTY { errno = EEXIST }
      throw PrivateFile.failure(writing: place)
    }
    isFinished = true
    try PrivateFile.synchronize(PrivateFile.folder(of: place))
  }

  /// Nobody gives a folder of their own this name.
  private static let infix = ".relatch-restoring."

  private static func trimmed(_ path: String) -> String {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }

  private static func absolute(_ path: String) throws -> String {
    if let resolved = realpath(path, nil) {
      defer { free(resolved) }
      return String(cString: resolved)
    }
    guard let resolved = realpath(PrivateFile.folder(of: path), nil) else { throw PrivateFile.failure(writing: path) }
    defer { free(resolved) }
    let name = path.split(separator: "/").last ?? ""
    return String(cString: resolved) + "/" + name
  }

  private static func requireFree(_ place: String) throws {
    var information = stat()
    guard lstat(place, &information) == 0 else { return }
    guard information.st_mode & S_IFMT == S_IFDIR, try PrivateFile.names(in: place).isEmpty else {
      throw VaultError(.alreadyExists, "\(Name.printable(place)) already exists")
    }
  }

  /// Removes what a process that died has left: only a folder that `mkdtemp` can have made here, for this user.
  private static func removeRemains(of place: String) {
    let folder = PrivateFile.folder(of: place)
    let prefix = (place.split(separator: "/").last.map(String.init) ?? "") + infix
    for name in (try? PrivateFile.names(in: folder)) ?? []
    where name.hasPrefix(prefix) && name.utf8.count == prefix.utf8.count + 6 {
      let descriptor = open("\(folder)/\(name)", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard descriptor >= 0 else { continue }
      var information = stat()
      let isOurs =
        fstat(descriptor, &information) == 0 && information.st_uid == geteuid()
        && information.st_mode == S_IFDIR | 0o700
      if isOurs, flock(descriptor, LOCK_EX | LOCK_NB) == 0 { remove("\(folder)/\(name)") }
      close(descriptor)
    }
  }

  /// Removes what is there; follows no link.
  private static func remove(_ path: String) {
    guard unlink(path) != 0, errno == EISDIR || errno == EPERM else { return }
    for name in (try? PrivateFile.names(in: path)) ?? [] { remove("\(path)/\(name)") }
    rmdir(path)
  }
}
