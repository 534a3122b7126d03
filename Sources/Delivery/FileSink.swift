import Glibc
package import Rotation
package import Sodium
package import Vault

/// A file that holds the newest pair: either the old content or the new, whatever happens in between, and never
/// anything that others may read.
package struct FileSink: Sendable {
  package let settings: FileSettings
  private let randomness: Randomness

  package init(_ settings: FileSettings, randomness: Randomness) {
    self.settings = settings
    self.randomness = randomness
  }

  /// Fails with `unusable` if `write` would obviously fail: the folder is missing or not writable, something that is
  /// not a file is in the way, or the template is unusable. Changes nothing.
  package func check() throws(DeliveryError) {
    let (parent, name) = TrustedFolder.split(settings.path)
    let folder = try TrustedFolder(parent)
    if let existing = try existing(name, in: folder) { try checkGroup(of: existing, in: folder) }
    guard faccessat(folder.descriptor, ".", W_OK | X_OK, AT_EACCESS) == 0 else {
      throw DeliveryError(
        .unusable, "\(Name.printable(parent)) cannot be written to: \(Errno.text)",
        hint: "let the user who runs relatch write to its folder: the file is replaced, not overwritten")
    }
    do { try SinkDocument.check(settings.format) } catch let error as DeliveryError { throw error } catch {
      throw DeliveryError(.unusable, "the template: \(error)")
    }
  }

  /// Replaces the file with `content`. The file and its folder are durable when this returns.
  ///
  /// An existing file keeps its owner and group. Throws `unusable` or `cannotWrite`; the file then has its old content,
  /// or its new content if only the last synchronisation failed.
  package func write(_ content: borrowing SecretBytes) throws(DeliveryError) { try replacement(content).commit() }

  /// `content` in a durable file beside it, which takes its place only by `commit`. Throws `unusable` or `cannotWrite`.
  func replacement(_ content: borrowing SecretBytes) throws(DeliveryError) -> Replacement {
    let (parent, name) = TrustedFolder.split(settings.path)
    let folder = try TrustedFolder(parent)
    let existing = try existing(name, in: folder)
    Self.sweep(name, in: folder)
    let temporary = Self.temporaryPrefix(name) + randomness.bytes(8).map { Self.hex($0) }.joined()
    let descriptor = openat(
      folder.descriptor, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure("cannot make a file beside it") }
    let replacement = Replacement(self, folder, name, temporary, descriptor)
    // The lock tells a run that sweeps that this one is alive.
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw failure("cannot lock the new file") }
    try fill(descriptor, content, existing)
    return replacement
  }

  /// The new file, not yet in its place. It is removed with this value if it was never put there.
  final class Replacement {
    private let sink: FileSink
    private let folder: TrustedFolder
    private let name: String
    private let temporary: String
    private let descriptor: Int32
    private var isInPlace = false

    fileprivate init(
      _ sink: FileSink, _ folder: consuming TrustedFolder, _ name: String, _ temporary: String, _ descriptor: Int32
    ) {
      self.sink = sink
      self.folder = folder
      self.name = name
      self.temporary = temporary
      self.descriptor = descriptor
    }

    deinit {
      if !isInPlace { unlinkat(folder.descriptor, temporary, 0) }
      close(descriptor)
    }

    func commit() throws(DeliveryError) {
      guard renameat(folder.descriptor, temporary, folder.descriptor, name) == 0 else {
        throw sink.failure("cannot put the new file in its place")
      }
      isInPlace = true
      guard fsync(folder.descriptor) == 0 else {
        throw sink.failure(
          "cannot synchronise its folder", hint: "check the disk; the file has its new content")
      }
    }
  }

  /// Removes what killed runs left beside the file. The file itself stays.
  package func sweep() {
    let (parent, name) = TrustedFolder.split(settings.path)
    guard let folder = try? TrustedFolder(parent) else { return }
    Self.sweep(name, in: folder)
  }

  private func fill(
    _ descriptor: Int32, _ content: borrowing SecretBytes, _ existing: stat?
  ) throws(DeliveryError) {
    if let existing {
      var made = stat()
      guard fstat(descriptor, &made) == 0 else { throw failure("cannot examine the new file") }
      let owner = existing.st_uid == made.st_uid ? uid_t.max : existing.st_uid
      let group = existing.st_gid == made.st_gid ? gid_t.max : existing.st_gid
      if owner != uid_t.max || group != gid_t.max {
        guard fchown(descriptor, owner, group) == 0 else {
          throw failure("cannot keep its owner and group", hint: Self.groupHint)
        }
      }
    }
    // While it is written, only its owner may read it, whatever the mask took away or a default of the folder added.
    guard fchmod(descriptor, 0o600) == 0 else { throw failure("cannot set the new file's mode") }
    do { try content.withBytes { try PrivateFile.writeAll(descriptor, $0, settings.path) } } catch {
      throw DeliveryError(.cannotWrite, "\(error)", hint: Self.hint)
    }
    guard settings.mode == 0o600 || fchmod(descriptor, mode_t(settings.mode)) == 0 else {
      throw failure("cannot set the new file's mode")
    }
    guard fsync(descriptor) == 0 else { throw failure("cannot synchronise the new file") }
  }

  /// Fails if the file that replaces `existing` could not be given its group.
  private func checkGroup(of existing: stat, in folder: borrowing TrustedFolder) throws(DeliveryError) {
    var place = stat()
    guard fstat(folder.descriptor, &place) == 0 else { throw failure("its folder cannot be examined") }
    let group = place.st_mode & S_ISGID != 0 ? place.st_gid : getegid()
    guard existing.st_gid != group else { return }
    // On no file: the only answer is whether the call itself is forbidden, as service managers can do.
    let isForbidden = fchown(-1, uid_t.max, gid_t.max) != 0 && errno == EPERM
    guard isForbidden || (geteuid() != 0 && !Self.isMember(of: existing.st_gid)) else { return }
    throw DeliveryError(
      .unusable, "\(Name.printable(settings.path)) has a group that a new file there cannot be given",
      hint: Self.groupHint)
  }

  private static func isMember(of group: gid_t) -> Bool {
    if group == getegid() { return true }
    var groups = [gid_t](repeating: 0, count: Int(max(0, getgroups(0, nil))))
    let count = getgroups(Int32(groups.count), &groups)
    return count > 0 && groups.prefix(Int(count)).contains(group)
  }

  /// The status of the file at the place; nil if there is none.
  private func existing(_ name: String, in folder: borrowing TrustedFolder) throws(DeliveryError) -> stat? {
    var found = stat()
    guard fstatat(folder.descriptor, name, &found, AT_SYMLINK_NOFOLLOW) == 0 else {
      guard errno == ENOENT else { throw failure("cannot be examined") }
      return nil
    }
    guard found.st_mode & S_IFMT == S_IFREG else {
      throw DeliveryError(
        .unusable, "\(Name.printable(settings.path)) is not an ordinary file",
        hint: "name the file itself, not a link to it: it is replaced at each delivery")
    }
    guard found.st_uid == geteuid() || geteuid() == 0 else {
      throw DeliveryError(
        .unusable, "\(Name.printable(settings.path)) belongs to another user",
        hint:
          "only root can replace it and keep its owner: give it to the user who runs relatch, or let its group read it"
      )
    }
    guard !folder.isShared || found.st_uid == geteuid() || found.st_uid == 0 else {
      throw DeliveryError(
        .unusable, "\(Name.printable(settings.path)) was made by another user in a folder that everybody may write to",
        hint: "name a place in a folder that is yours")
    }
    return found
  }

  // MARK: - Leftovers

  private static func temporaryPrefix(_ name: String) -> String { ".\(name.utf8.count > 200 ? "" : name).relatch-" }

  private static func hex(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16)
    return digits.utf8.count == 1 ? "0" + digits : digits
  }

  /// Removes files of ours that a killed run left: those that nobody has locked.
  private static func sweep(_ name: String, in folder: borrowing TrustedFolder) {
    let prefix = temporaryPrefix(name)
    for found in names(in: folder) where found.hasPrefix(prefix) && found.utf8.count == prefix.utf8.count + 16 {
      let descriptor = openat(folder.descriptor, found, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
      guard descriptor >= 0 else { continue }
      defer { close(descriptor) }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { continue }
      unlinkat(folder.descriptor, found, 0)
    }
  }

  private static func names(in folder: borrowing TrustedFolder) -> [String] {
    let again = openat(folder.descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard again >= 0 else { return [] }
    guard let stream = fdopendir(again) else {
      close(again)
      return []
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
      }
      if let name { names.append(name) }
    }
    return names
  }

  private static let hint = "check free space and permissions; the file has its old content"
  private static let groupHint =
    "give its folder the file's group and chmod g+s, so that new files get it; the file has its old content"

  fileprivate func failure(_ what: String, hint: String = Self.hint) -> DeliveryError {
    let reason = Errno.text
    return DeliveryError(.cannotWrite, "\(Name.printable(settings.path)): \(what): \(reason)", hint: hint)
  }
}
