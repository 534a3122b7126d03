import Foundation
import Glibc
import Rotation
import Sodium
import Testing
import Vault

@testable import Delivery

@Suite("A file sink")
struct FileSinkTests {
  private func sink(_ path: String, mode: UInt32 = 0o600) -> FileSink {
    FileSink(FileSettings(path: path, format: .json, mode: mode), randomness: .system)
  }

  private func write(_ text: String, to path: String, mode: UInt32 = 0o600) throws {
    let content = try secret(text)
    try sink(path, mode: mode).write(content)
  }

  @Test(arguments: [0o600, 0o640, 0o400, 0o440, 0o660] as [UInt32])
  func `makes a file with its mode, whatever the mask, and replaces it`(mode: UInt32) async throws {
    let folder = try Folder()
    for text in ["old", "the new content"] {
      try write(text, to: folder.path + "/pair", mode: mode)
      #expect(try folder.text("pair") == text)
      #expect(try folder.status("pair").st_mode & 0o7777 == mode)
      #expect(try folder.names() == ["pair"])
    }
    #expect(try folder.status("pair").st_uid == geteuid())
  }

  @Test func `keeps the old content until the new one is put in its place, and nothing beside it if it never is`()
    throws
  {
    let folder = try Folder()
    try write("old", to: folder.path + "/pair")
    for isCommitted in [false, true] {
      do {
        let content = try secret("new")
        let replacement = try sink(folder.path + "/pair").replacement(content)
        #expect(try folder.text("pair") == "old")
        #expect(try folder.names().count == 2)
        if isCommitted { try replacement.commit() }
      }
      #expect(try folder.text("pair") == (isCommitted ? "new" : "old"))
      #expect(try folder.names() == ["pair"])
    }
  }

  @Test func `replaces the file and not what is in it: who has the old one open reads the old one whole`() throws {
    let folder = try Folder()
    try write("the old content", to: folder.path + "/pair")
    let reader = try #require(FileHandle(forReadingAtPath: folder.path + "/pair"))
    let before = try folder.status("pair").st_ino
    try write("new", to: folder.path + "/pair")
    #expect(try reader.readToEnd() == Data("the old content".utf8))
    #expect(try folder.status("pair").st_ino != before)
  }

  @Test(.enabled(if: geteuid() == 0, "only root can give files away"))
  func `keeps owner and group of the file it replaces`() throws {
    let folder = try Folder()
    try folder.write("pair", "old", mode: 0o640)
    #expect(chown(folder.path + "/pair", 1234, 2345) == 0)
    try write("new", to: folder.path + "/pair", mode: 0o640)
    let status = try folder.status("pair")
    #expect(status.st_uid == 1234 && status.st_gid == 2345 && status.st_mode & 0o7777 == 0o640)
  }

  @Test(.enabled(if: geteuid() == 0, "needs root to become someone else"))
  func `is refused beforehand where it could not keep the file's group, and keeps it where its folder gives it`()
    async throws
  {
    let folder = try Folder()
    #expect(chown(folder.path, 1234, 1234) == 0 && chmod(folder.path, 0o755) == 0)
    for name in ["foreign", "own", "member"] {
      #expect(mkdir("\(folder.path)/\(name)", 0o755) == 0)
      try folder.write("\(name)/pair", "old", mode: 0o640)
      let group: gid_t = name == "own" ? 1234 : name == "member" ? 3456 : 2345
      #expect(chown("\(folder.path)/\(name)/pair", 1234, group) == 0, "\(name)")
      #expect(chown("\(folder.path)/\(name)", 1234, 2345) == 0, "\(name)")
    }
    let path = folder.path
    await #expect(processExitsWith: .success) { [path = path as String] in
      var groups: [gid_t] = [3456]
      #expect(setgroups(1, &groups) == 0 && setgid(1234) == 0 && setuid(1234) == 0)
      let content = try secret("new")
      for name in ["foreign", "own", "member"] {
        let sink = FileSink(
          FileSettings(path: "\(path)/\(name)/pair", format: .json, mode: 0o640), randomness: .system)
        #expect((deliveryError { try sink.check() }?.code == .unusable) == (name == "foreign"), "\(name)")
        #expect((deliveryError { try sink.write(content) } != nil) == (name == "foreign"), "\(name)")
      }
    }
    #expect(try folder.text("foreign/pair") == "old")
    #expect(try folder.status("own/pair").st_gid == 1234 && folder.status("member/pair").st_gid == 3456)
    #expect(chmod(folder.path + "/foreign", 0o2755) == 0)
    await #expect(processExitsWith: .success) { [path = path as String] in
      #expect(setgroups(0, nil) == 0 && setgid(1234) == 0 && setuid(1234) == 0)
      let sink = FileSink(
        FileSettings(path: path + "/foreign/pair", format: .json, mode: 0o640), randomness: .system)
      try sink.check()
      let content = try secret("new")
      try sink.write(content)
    }
    #expect(try folder.text("foreign/pair") == "new" && folder.status("foreign/pair").st_gid == 2345)
  }

  @Test(.enabled(if: geteuid() == 0, "needs root to become someone else"))
  func `refuses to take over another user's file, and a folder it may not write to`() async throws {
    let folder = try Folder()
    #expect(chmod(folder.path, 0o777 | S_ISVTX) == 0)
    try folder.write("pair", "theirs", mode: 0o666)
    #expect(mkdir(folder.path + "/closed", 0o755) == 0)
    let path = folder.path
    await #expect(processExitsWith: .success) { [path = path as String] in
      #expect(setuid(65_534) == 0)
      for name in ["pair", "closed/pair"] {
        let sink = FileSink(FileSettings(path: "\(path)/\(name)", format: .json), randomness: .system)
        #expect(deliveryError { try sink.check() }?.code == .unusable, "\(name)")
        let content = try secret("x")
        #expect(deliveryError { try sink.write(content) } != nil, "\(name)")
      }
    }
    #expect(try folder.text("pair") == "theirs")
    #expect(try folder.names() == ["closed", "pair"])
  }

  @Test func `follows no link at its place, and writes over nothing that is no file`() throws {
    let folder = try Folder()
    try folder.write("elsewhere", "keep")
    #expect(symlink(folder.path + "/elsewhere", folder.path + "/link") == 0)
    #expect(symlink(folder.path + "/nowhere", folder.path + "/dangling") == 0)
    #expect(mkfifo(folder.path + "/pipe", 0o600) == 0)
    #expect(mkdir(folder.path + "/folder", 0o700) == 0)
    for name in ["link", "dangling", "pipe", "folder"] {
      #expect(deliveryError { try sink("\(folder.path)/\(name)").check() }?.code == .unusable, "\(name)")
      #expect(deliveryError { try write("x", to: "\(folder.path)/\(name)") }?.code == .unusable, "\(name)")
    }
    #expect(try folder.text("elsewhere") == "keep")
    #expect(try folder.names() == ["dangling", "elsewhere", "folder", "link", "pipe"])
  }

  @Test func `goes through links of this user and of root, and through no folder that everybody may write to`() throws {
    let folder = try Folder()
    #expect(mkdir(folder.path + "/real", 0o700) == 0)
    #expect(symlink("real/../real", folder.path + "/link") == 0)
    #expect(symlink("loop", folder.path + "/loop") == 0)
    try write("x", to: folder.path + "/link/pair")
    #expect(try folder.text("real/pair") == "x")
    #expect(deliveryError { try sink(folder.path + "/loop/pair").check() }?.code == .unusable)
    #expect(deliveryError { try sink(folder.path + "/absent/pair").check() }?.code == .unusable)
    #expect(deliveryError { try sink(folder.path + "/real/pair/x").check() }?.code == .unusable)
    // The sticky bit is enough, a folder open to all is not, also deeper down.
    #expect(chmod(folder.path + "/real", 0o777) == 0 && mkdir(folder.path + "/real/inner", 0o700) == 0)
    for path in ["/real/pair", "/link/pair", "/real/inner/pair"] {
      #expect(deliveryError { try sink(folder.path + path).check() }?.code == .unusable, "\(path)")
      #expect(deliveryError { try write("y", to: folder.path + path) }?.code == .unusable, "\(path)")
    }
    #expect(try folder.text("real/pair") == "x")
    #expect(chmod(folder.path + "/real", 0o777 | S_ISVTX) == 0)
    try write("z", to: folder.path + "/real/pair")
    #expect(try folder.text("real/pair") == "z")
  }

  @Test(.enabled(if: geteuid() == 0, "needs root to act for another user"))
  func `goes through nothing that another user put where everybody may write`() throws {
    let folder = try Folder()
    #expect(chmod(folder.path, 0o777 | S_ISVTX) == 0)
    #expect(mkdir(folder.path + "/ours", 0o700) == 0 && mkdir(folder.path + "/theirs", 0o777 | S_ISVTX) == 0)
    #expect(symlink(folder.path + "/ours", folder.path + "/link") == 0)
    #expect(lchown(folder.path + "/link", 1234, 1234) == 0 && chown(folder.path + "/theirs", 1234, 1234) == 0)
    try folder.write("planted", "x")
    #expect(chown(folder.path + "/planted", 1234, 1234) == 0)
    for path in ["/link/pair", "/theirs/pair", "/planted"] {
      #expect(deliveryError { try sink(folder.path + path).check() }?.code == .unusable, "\(path)")
      #expect(deliveryError { try write("y", to: folder.path + path) }?.code == .unusable, "\(path)")
    }
    #expect(try folder.names() == ["link", "ours", "planted", "theirs"])
  }

  @Test(.enabled(if: geteuid() == 0, "needs root to act for another user"))
  func `goes through no folder of another user's, who could put any file in the place, also one of their own`()
    async throws
  {
    let folder = try Folder()
    for name in ["theirs", "theirs/root", "way", "way/inner"] {
      #expect(mkdir("\(folder.path)/\(name)", 0o755) == 0)
    }
    #expect(chown(folder.path + "/theirs", 1234, 1234) == 0 && chown(folder.path + "/way/inner", 1234, 1234) == 0)
    try folder.write("theirs/pair", "planted", mode: 0o600)
    #expect(chown(folder.path + "/theirs/pair", 1234, 1234) == 0)
    #expect(symlink("way/inner", folder.path + "/link") == 0)
    let paths = ["theirs/pair", "theirs/new", "theirs/root/pair", "way/inner/pair", "link/pair", "theirs/../pair"]
    for path in paths {
      let error = deliveryError { try sink("\(folder.path)/\(path)").check() }
      #expect(error?.code == .unusable && error?.description.contains("another user") == true, "\(path)")
      #expect(deliveryError { try write("y", to: "\(folder.path)/\(path)") }?.code == .unusable, "\(path)")
    }
    #expect(try folder.text("theirs/pair") == "planted")
    // A folder of the user's own, below folders of root's, is good enough for that user.
    let path = folder.path
    #expect(chmod(path, 0o755) == 0)
    await #expect(processExitsWith: .success) { [path = path as String] in
      #expect(setgroups(0, nil) == 0 && setgid(1234) == 0 && setuid(1234) == 0)
      let content = try secret("new")
      for name in ["/theirs/pair", "/way/inner/pair"] {
        try FileSink(FileSettings(path: path + name, format: .json), randomness: .system).write(content)
      }
    }
    #expect(try folder.text("theirs/pair") == "new" && folder.text("way/inner/pair") == "new")
  }

  @Test func `sweeps what killed runs left, and nothing that a living one holds or that is another's`() throws {
    let folder = try Folder()
    try folder.write(".pair.relatch-0011223344556677", "half", mode: 0o600)
    try folder.write(".pair.relatch-8899aabbccddeeff", "held", mode: 0o600)
    try folder.write(".pair.relatch-short", "not ours")
    try folder.write(".other.relatch-0011223344556677", "another's")
    let held = open(folder.path + "/.pair.relatch-8899aabbccddeeff", O_RDONLY)
    defer { close(held) }
    #expect(flock(held, LOCK_EX) == 0)
    try write("new", to: folder.path + "/pair")
    #expect(
      try folder.names() == [
        ".other.relatch-0011223344556677", ".pair.relatch-8899aabbccddeeff", ".pair.relatch-short", "pair",
      ])
  }

  @Test(.enabled(if: geteuid() == 0, "needs root to mount a small disk"))
  func `on a full disk leaves the old file whole, and writes the new one when there is room`() throws {
    let folder = try Folder()
    guard mount("tmpfs", folder.path, "tmpfs", 0, "size=64k") == 0 else {
      try Test.cancel("this machine does not let root mount a small disk")
    }
    defer { umount2(folder.path, Int32(MNT_DETACH)) }
    try write("old", to: folder.path + "/pair")
    let content = try SecretBytes(capacity: 100_000) { output in
      for _ in 0..<100_000 { output.append(UInt8(ascii: "x")) }
    }
    let error = deliveryError { try sink(folder.path + "/pair").write(content) }
    #expect(error?.code == .cannotWrite && error?.description.contains("No space") == true)
    #expect(try folder.text("pair") == "old" && folder.names() == ["pair"])
    try write("new", to: folder.path + "/pair")
    #expect(try folder.text("pair") == "new")
  }

  @Test func `a check changes nothing`() throws {
    let folder = try Folder()
    try sink(folder.path + "/pair").check()
    #expect(try folder.names() == [])
  }
}
