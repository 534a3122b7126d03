import Glibc
import Rotation
import Vault

/// A folder that is opened step by step from the root, so that only root, this user and the groups they let in can have
/// decided which folder it is and what lies in it.
///
/// It and each folder on the way must belong to root or this user, and so must each symbolic link that is followed. A
/// folder that everybody may write to is accepted only if it is sticky, and then what lies in it must belong to root or
/// this user. What is done relative to `descriptor` is done in this folder, whatever is renamed meanwhile.
struct TrustedFolder: ~Copyable {
  /// An open directory.
  let descriptor: Int32
  /// The path as given, for messages.
  let path: String
  /// Whether everybody may create files in it.
  let isShared: Bool

  static let maximumLinks = 40

  /// Opens the folder at the absolute `path`; with `listing` this needs the right to read it. Throws `unusable` if it
  /// is missing or not to be trusted.
  init(_ path: String, listing: Bool = true) throws(DeliveryError) {
    var walk = try Walk(to: path)
    do throws(DeliveryError) {
      while let part = walk.parts.popLast() { try walk.enter(part) }
      if listing { try walk.openForReading() }
    } catch {
      close(walk.descriptor)
      throw error
    }
    descriptor = walk.descriptor
    isShared = walk.isShared
    self.path = path
  }

  deinit { close(descriptor) }

  private struct Walk {
    let path: String
    var descriptor: Int32
    /// The rest of the way, the next part last.
    var parts: [String]
    var isShared = false
    var links = 0

    /// `O_PATH`, which Glibc's module hides.
    private static let passing: Int32 = 0o10000000

    init(to path: String) throws(DeliveryError) {
      self.path = path
      descriptor = open("/", Self.passing | O_DIRECTORY | O_CLOEXEC)
      parts = path.split(separator: "/").reversed().map(String.init)
      guard descriptor >= 0 else { throw refusal("cannot be opened: \(Errno.text)") }
    }

    mutating func enter(_ part: String) throws(DeliveryError) {
      guard part != "." else { return }
      var found = stat()
      guard fstatat(descriptor, part, &found, AT_SYMLINK_NOFOLLOW) == 0 else {
        throw refusal("cannot be opened: \(Name.printable(part)): \(Errno.text)")
      }
      if found.st_mode & S_IFMT == S_IFLNK {
        return try follow(part, isOurs: Self.isOurs(found))
      }
      // Folders on the way need only be passed through, not read.
      let next = openat(descriptor, part, Self.passing | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard next >= 0 else { throw refusal("cannot be opened: \(Name.printable(part)): \(Errno.text)") }
      close(descriptor)
      descriptor = next
      // The status is that of the opened folder, not of the name.
      var opened = stat()
      guard fstat(next, &opened) == 0 else { throw refusal("cannot be opened: \(Errno.text)") }
      // The owner can put any file there, including one of their own, which keeps its owner.
      guard Self.isOurs(opened) else {
        throw DeliveryError(
          .unusable,
          "\(Name.printable(path)) \(parts.isEmpty ? "is, or leads through," : "leads through") \(Name.printable(part)), another user's folder",
          hint:
            "give that folder to root or to the user who runs relatch (chown; its group may keep its rights), or name another place"
        )
      }
      isShared = opened.st_mode & S_IWOTH != 0
      guard !isShared || opened.st_mode & S_ISVTX != 0 else {
        throw DeliveryError(
          .unusable, "\(Name.printable(path)) leads through \(Name.printable(part)), which everybody may write to",
          hint: "take that right from others: chmod o-w, or +t where everybody must write")
      }
    }

    /// Whether it belongs to root or this user. In a namespace that does not know root by its number, the owner of `/`
    /// counts as root.
    private static func isOurs(_ found: stat) -> Bool {
      var root = stat()
      return found.st_uid == 0 || found.st_uid == geteuid() || stat("/", &root) == 0 && found.st_uid == root.st_uid
    }

    /// Opens the folder reached so far for listing and synchronising; until here it was only passed through.
    mutating func openForReading() throws(DeliveryError) {
      let last = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      guard last >= 0 else { throw refusal("cannot be read: \(Errno.text)") }
      close(descriptor)
      descriptor = last
    }

    private mutating func follow(_ part: String, isOurs: Bool) throws(DeliveryError) {
      links += 1
      guard isOurs, links <= TrustedFolder.maximumLinks else {
        throw refusal("leads through the symbolic link \(Name.printable(part)), which another user made")
      }
      guard let text = TrustedFolder.target(of: part, in: descriptor) else {
        throw refusal("leads through a symbolic link that cannot be read")
      }
      if text.hasPrefix("/") {
        let root = open("/", Self.passing | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { throw refusal("cannot be opened: \(Errno.text)") }
        close(descriptor)
        descriptor = root
        isShared = false
      }
      parts += text.split(separator: "/").reversed().map(String.init)
    }

    private func refusal(_ found: String) -> DeliveryError {
      DeliveryError(
        .unusable, "\(Name.printable(path)) \(found)",
        hint: "make the folder, or name another; it and each folder on the way must be yours or root's")
    }
  }
}

/// An existing file, found on a path that `TrustedFolder` accepts, with symbolic links at its end followed.
///
/// The caller must check what kind of file it is, and with `distrust` who may have written it.
struct TrustedFile: ~Copyable {
  /// The folder it is in, not necessarily open for reading.
  let folder: TrustedFolder
  /// Its name there, which is not a symbolic link.
  let name: String

  /// Looks for the file at the absolute `path`.
  ///
  /// Throws `unusable` for a folder on the way, and what `refusal` makes of a finding about the file.
  init(_ path: String, _ refusal: (String) -> DeliveryError) throws(DeliveryError) {
    var path = path
    for _ in 0...TrustedFolder.maximumLinks {
      let (parent, name) = TrustedFolder.split(path)
      let folder = try TrustedFolder(parent, listing: false)
      var found = stat()
      guard fstatat(folder.descriptor, name, &found, AT_SYMLINK_NOFOLLOW) == 0 else {
        throw refusal("cannot be found: \(Errno.text)")
      }
      guard found.st_mode & S_IFMT == S_IFLNK else {
        self.folder = folder
        self.name = name
        return
      }
      guard found.st_uid == 0 || found.st_uid == geteuid() else {
        throw refusal("is reached by a symbolic link that another user made")
      }
      guard let target = TrustedFolder.target(of: name, in: folder.descriptor) else {
        throw refusal("is reached by a symbolic link that cannot be read")
      }
      path = target.hasPrefix("/") ? target : "\(parent)/\(target)"
    }
    throw refusal("is reached by too many symbolic links")
  }

  /// Opens it for reading, without waiting for the writer of a named pipe, and returns its status. The caller closes it.
  /// Throws what `refusal` makes of a file that cannot be read, or is no ordinary file.
  func openRegular(
    _ refusal: (String) -> DeliveryError
  ) throws(DeliveryError) -> (descriptor: Int32, found: stat) {
    let descriptor = openat(folder.descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw refusal("cannot be read: \(Errno.text)") }
    var found = stat()
    guard fstat(descriptor, &found) == 0, found.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw refusal("is not a file")
    }
    return (descriptor, found)
  }

  /// Why a file with this status is not to be trusted; nil if it is.
  func distrust(of found: stat) -> String? {
    if found.st_mode & S_IWOTH != 0 { return "may be written to by everybody" }
    guard !folder.isShared || found.st_uid == 0 || found.st_uid == geteuid() else {
      return "was made by another user in a folder that everybody may write to"
    }
    return nil
  }
}

extension TrustedFolder {
  /// Where the symbolic link `name` in the open `folder` leads; nil if that cannot be read.
  static func target(of name: String, in folder: Int32) -> String? {
    var target = [UInt8](repeating: 0, count: 4097)
    let capacity = target.count
    let count = target.withUnsafeMutableBytes { bytes in
      guard let base = bytes.baseAddress else { return -1 }
      return readlinkat(folder, name, base.assumingMemoryBound(to: CChar.self), capacity)
    }
    guard count > 0, count < capacity else { return nil }
    return String(validating: target[..<count], as: UTF8.self)
  }

  /// The folder and the last part of an absolute path.
  static func split(_ path: String) -> (folder: String, name: String) {
    let name = path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
    return (PrivateFile.folder(of: path), name)
  }
}
