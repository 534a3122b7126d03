import Glibc

/// Files that only their owner may read, written so that they are whole or absent whatever happens in between.
package enum PrivateFile {
  /// Writes `bytes` to a new file at `path`, mode 0600, durable with its folder when this returns. Never overwrites:
  /// throws `alreadyExists`, or `cannotWrite`.
  ///
  /// With `inheritsOwner`, what root makes belongs to the owner of its folder, who will go on using it.
  package static func create(_ path: String, _ bytes: RawSpan, inheritsOwner: Bool = false) throws {
    try create(path, inheritsOwner: inheritsOwner) { try $0(bytes) }
  }

  /// The same for what `body` hands to its argument, piece by piece. If it throws, nothing is left.
  package static func create(
    _ path: String, inheritsOwner: Bool = false, _ body: (@escaping (RawSpan) throws -> Void) throws -> Void
  ) throws {
    try inFolder(of: path, inheritsOwner) { place, owner in
      // A file without a name: it is gone with the process, and nobody else can write to it or link it.
      let unnamed = open(folder(of: place), O_WRONLY | unnamedFile | O_CLOEXEC, 0o600)
      if unnamed >= 0 {
        defer { Glibc.close(unnamed) }
        try give(unnamed, to: owner, path)
        try write(to: unnamed, path, body)
        guard linkat(AT_FDCWD, "/proc/self/fd/\(unnamed)", AT_FDCWD, place, AT_SYMLINK_FOLLOW) == 0 else {
          throw failure(writing: path)
        }
      } else {
        // The file system has no unnamed files, or there is no folder, which the next call finds out.
        try createThroughNamed(place, called: path, for: owner, body)
      }
      try synchronize(folder(of: place))
    }
  }

  /// Makes a file without a name in `folder`, mode 0600, and returns a descriptor to write and read it with. It is gone
  /// when that is closed. Throws `cannotWrite`.
  package static func createUnnamed(in folder: String) throws -> Int32 {
    let unnamed = open(folder, O_RDWR | unnamedFile | O_CLOEXEC, 0o600)
    guard unnamed < 0 else { return unnamed }
    // The file system has no unnamed files.
    let (descriptor, name) = createTemporary(folder + "/relatch")
    guard descriptor >= 0 else { throw failure(writing: folder) }
    unlink(name)
    return descriptor
  }

  /// Writes to a file under a name that no other run chooses, then links it to `path`, which errors call `name`.
  static func createThroughNamed(
    _ path: String, called name: String? = nil, for owner: Owner? = nil,
    _ body: (@escaping (RawSpan) throws -> Void) throws -> Void
  ) throws {
    let name = name ?? path
    let (descriptor, temporary) = createTemporary(path)
    guard descriptor >= 0 else { throw failure(writing: name) }
    defer {
      Glibc.close(descriptor)
      unlink(temporary)
    }
    try give(descriptor, to: owner, name)
    try write(to: descriptor, name, body)
    // link() refuses an existing name where rename() would replace it.
    guard link(temporary, path) == 0 else { throw failure(writing: name) }
  }

  /// Makes a new file, mode 0600, under a name that no other run chooses: `prefix`, a dot and six characters. Follows no
  /// link. The descriptor is negative if it cannot be made; `errno` says why.
  private static func createTemporary(_ prefix: String) -> (descriptor: Int32, name: [CChar]) {
    // mkstemp() opens with O_CREAT | O_EXCL.
    var name = Array((prefix + ".XXXXXX").utf8CString)
    let descriptor = name.withUnsafeMutableBufferPointer { $0.baseAddress.map { mkstemp($0) } ?? -1 }
    if descriptor >= 0 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    return (descriptor, name)
  }

  /// Puts a file of `bytes` in place of the one at `path`, or makes it: others see either the old file or the new one, and
  /// nothing in between. Its `mode` is for bytes that are no secret and that others are to read. Throws `cannotWrite`.
  /// Unless it is made durable, the older file may be back after a power cut.
  ///
  /// With `wipesOld`, the bytes of the older file are overwritten once the new one is durable and no name leads to the
  /// older one any more. Otherwise they would stay on the disk until their place is needed. A file system that never
  /// writes in place keeps them nonetheless, and so does a disk that moves what it writes.
  ///
  /// With `inheritsOwner`, what root makes belongs to the owner of its folder.
  package static func replace(
    _ path: String, _ bytes: RawSpan, mode: UInt32 = 0o600, isDurable: Bool = false, wipesOld: Bool = false,
    inheritsOwner: Bool = false
  ) throws {
    try replace(
      path, bytes, mode: mode, isDurable: isDurable, wipesOld: wipesOld, inheritsOwner: inheritsOwner,
      throughNew: createTemporary)
  }

  /// Does the same, durably, and wipes the older file, for a secret that no kill may leave lying about: the new file is
  /// made under one name, `unfinished(path)`, and what a killed process has left there is wiped first. No other process
  /// does the same in this folder meanwhile. If `check` throws, nothing is changed.
  package static func replaceSecret(_ path: String, _ bytes: RawSpan, unless check: () throws -> Void) throws {
    try withLock(folder(of: path)) {
      try check()
      try replace(path, bytes, mode: 0o600, isDurable: true, wipesOld: true, inheritsOwner: false) { place in
        let name = unfinished(place)
        let left = open(name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        unlink(name)
        if left >= 0 {
          wipe(left)
          Glibc.close(left)
        }
        return (open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600), Array(name.utf8CString))
      }
    }
  }

  /// Where `replaceSecret` makes the new file. What is there was left by a process that was killed.
  package static func unfinished(_ path: String) -> String { path + ".unfinished" }

  private static func replace(
    _ path: String, _ bytes: RawSpan, mode: UInt32, isDurable: Bool, wipesOld: Bool, inheritsOwner: Bool,
    throughNew make: (_ place: String) -> (descriptor: Int32, name: [CChar])
  ) throws {
    try inFolder(of: path, inheritsOwner) { place, owner in
      let old = wipesOld ? open(place, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1
      defer { if old >= 0 { Glibc.close(old) } }
      let (descriptor, template) = make(place)
      guard descriptor >= 0 else { throw failure(writing: path) }
      defer { Glibc.close(descriptor) }
      do {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        guard fchmod(descriptor, mode) == 0 else { throw failure(writing: path) }
        try give(descriptor, to: owner, path)
        try writeAll(descriptor, bytes, path)
        guard !(isDurable || wipesOld) || fsync(descriptor) == 0 else { throw failure(writing: path) }
        guard rename(template, place) == 0 else { throw failure(writing: path) }
        if isDurable || wipesOld { try synchronize(folder(of: place)) }
      } catch {
        unlink(template)
        throw error
      }
      if old >= 0 { wipe(old) }
    }
  }

  /// Overwrites a file that no longer has a name, as far as the file system allows. Failing is no error: the new file
  /// is in place.
  private static func wipe(_ descriptor: Int32) {
    var status = stat()
    // If it has another name, that is somebody's copy.
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 0 else { return }
    let zeros = [UInt8](repeating: 0, count: 4096)
    var offset = 0
    while offset < status.st_size {
      let count = pwrite(descriptor, zeros, min(zeros.count, status.st_size - offset), offset)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return }
      offset += count
    }
    fdatasync(descriptor)
  }

  /// Runs `body` while no other process runs one under the lock of the same folder; the lock ends with its process.
  /// Throws `cannotWrite`, also if another process, such as one that was stopped, still holds the lock after `seconds`.
  package static func withLock<Result>(_ folder: String, seconds: Int = 1, _ body: () throws -> Result) throws -> Result
  {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(writing: folder) }
    defer { Glibc.close(descriptor) }
    var tries = 20 * seconds
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EINTR || errno == EWOULDBLOCK, tries > 0 else { throw failure(writing: folder) }
      tries -= 1
      poll(nil, 0, 50)
    }
    return try body()
  }

  private static func write(
    to descriptor: Int32, _ path: String, _ body: (@escaping (RawSpan) throws -> Void) throws -> Void
  ) throws {
    // The umask may have taken permissions away.
    guard fchmod(descriptor, 0o600) == 0 else { throw failure(writing: path) }
    try body { try writeAll(descriptor, $0, path) }
    guard fsync(descriptor) == 0 else { throw failure(writing: path) }
  }

  /// `O_TMPFILE`, a macro too complex to be imported.
  private static let unnamedFile: Int32 = 0o20000000 | O_DIRECTORY

  /// Writes all of `bytes` to a descriptor.
  package static func writeAll(_ descriptor: Int32, _ bytes: RawSpan, _ what: String) throws {
    try bytes.withUnsafeBytes { buffer in
      var written = 0
      while written < buffer.count {
        let rest = UnsafeRawBufferPointer(rebasing: buffer[written...])
        let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { throw failure(writing: what) }
        written += count
      }
    }
  }

  /// The owner that a file is to have.
  struct Owner { let (user, group): (uid_t, gid_t) }

  /// Runs `body` with a path by which to make the file `path`. If root makes it and it is to belong to its folder's
  /// owner, the path leads through the very folder whose owner is passed: anyone who owns a folder above can put
  /// another one in its place at any moment, and must not be given a file in a folder of root's. Throws `cannotWrite`.
  private static func inFolder<Result>(
    of path: String, _ inheritsOwner: Bool, _ body: (_ place: String, Owner?) throws -> Result
  ) throws -> Result {
    guard inheritsOwner, geteuid() == 0 else { return try body(path, nil) }
    let descriptor = open(folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(writing: path) }
    defer { Glibc.close(descriptor) }
    var found = stat()
    guard fstat(descriptor, &found) == 0 else { throw failure(writing: path) }
    let name = path.split(separator: "/").last.map(String.init) ?? path
    return try body(
      "/proc/self/fd/\(descriptor)/\(name)",
      found.st_uid == 0 ? nil : Owner(user: found.st_uid, group: found.st_gid))
  }

  /// Gives what was just made, and is open as `descriptor`, to `owner`. Never call it for what was there before: that
  /// may be a link to somebody else's file. Where ownership cannot be given away, the file stays root's. Throws
  /// `cannotWrite`.
  private static func give(_ descriptor: Int32, to owner: Owner?, _ path: String) throws {
    guard let owner, fchown(descriptor, owner.user, owner.group) != 0 else { return }
    guard errno == EPERM || errno == EINVAL else { throw failure(writing: path) }
  }

  /// Makes the folder at `path` and those above it, each mode 0700 and durable if it is new.
  ///
  /// With `inheritsOwner`, what root makes belongs to the owner of the folder that it is in.
  package static func createFolder(_ path: String, inheritsOwner: Bool = false) throws {
    var prefix = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      prefix += prefix.isEmpty || prefix.hasSuffix("/") ? String(part) : "/" + part
      try inFolder(of: prefix, inheritsOwner) { place, owner in
        let isNew = mkdir(place, 0o700) == 0
        guard isNew || errno == EEXIST else { throw failure(writing: prefix) }
        guard isNew else { return }
        if owner != nil {
          let descriptor = open(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
          guard descriptor >= 0 else { throw failure(writing: prefix) }
          defer { Glibc.close(descriptor) }
          try give(descriptor, to: owner, prefix)
        }
        try synchronize(folder(of: place))
      }
    }
    var information = stat()
    guard stat(path, &information) == 0, information.st_mode & S_IFMT == S_IFDIR else {
      throw VaultError(.cannotWrite, "\(Name.printable(path)) is not a folder")
    }
  }

  /// Makes a new empty file, mode 0600, and returns a descriptor to write it with, for `close`. Throws `alreadyExists`,
  /// `cannotWrite`.
  static func createEmpty(_ path: String) throws -> Int32 {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure(writing: path) }
    guard fchmod(descriptor, 0o600) == 0 else {
      let failure = failure(writing: path)
      Glibc.close(descriptor)
      throw failure
    }
    return descriptor
  }

  /// Makes what was written durable and closes the file. The caller synchronizes its folder.
  static func close(_ descriptor: Int32, _ path: String) throws {
    defer { Glibc.close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure(writing: path) }
  }

  /// The names of what is in the folder at `path`, in order. Throws `notFound`, `cannotRead`.
  package static func names(in path: String) throws -> [String] {
    guard let folder = opendir(path) else { throw failure(reading: path) }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Whether the file at `path` may be read or written by anyone but its owner.
  package static func isOpenToOthers(_ path: String) -> Bool {
    var information = stat()
    return stat(path, &information) == 0 && information.st_mode & 0o077 != 0
  }

  /// Whether there is anything at `path`.
  package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Whether the name `path` is taken, be it by a link that leads nowhere.
  package static func isTaken(_ path: String) -> Bool {
    var information = stat()
    return lstat(path, &information) == 0
  }

  /// Whether permissions keep this user from reading what is at `path`, or from seeing whether anything is there.
  package static func isForbidden(_ path: String) -> Bool { access(path, R_OK) != 0 && errno == EACCES }

  /// The file that `path` leads to, through symbolic links; `path` itself if it leads nowhere.
  package static func resolved(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }

  /// The folder of the file at `path`, as `path` names it; `.` for a mere name.
  package static func folder(of path: String) -> String {
    let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    return folder.isEmpty ? "/" : folder
  }

  static func synchronize(_ folder: String) throws {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(writing: folder) }
    defer { Glibc.close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure(writing: folder) }
  }

  static func failure(writing path: String) -> VaultError {
    let number = errno
    return VaultError(
      number == EEXIST ? .alreadyExists : .cannotWrite,
      "cannot write \(Name.printable(path)): \(Errno.text(number))",
      hint: number == EEXIST ? "name a file that is not there" : nil)
  }
}
