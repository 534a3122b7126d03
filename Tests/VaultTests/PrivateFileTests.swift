import Contracts
import Glibc
import Sodium
import Testing

@testable import Vault

/// Serial, because the umask belongs to the whole process.
@Suite(.serialized) struct PrivateFileTests {
  private let folder: TemporaryFolder
  private var path: String { folder.path + "/identity" }

  init() throws { folder = try TemporaryFolder() }

  private func create(_ text: String, at path: String) throws {
    let bytes = Array(text.utf8)
    try PrivateFile.create(path, bytes.span.bytes)
  }

  @Test(arguments: [0o000, 0o077] as [mode_t])
  func aFileIsItsOwnersAloneWhateverTheUmaskIs(_ mask: mode_t) throws {
    let before = umask(mask)
    defer { umask(before) }
    try create("secret", at: path)
    #expect(try mode(of: path) == 0o600)
    #expect(try contents(of: path) == Array("secret".utf8))
    #expect(try folder.names() == ["identity"])
  }

  @Test func aPipeInAFilesPlaceIsRefusedAndNotWaitedFor() throws {
    #expect(mkfifo(path, 0o600) == 0)
    #expect(throws: VaultError(.cannotRead, "")) { _ = try PrivateFile.read(path) }
    #expect(throws: VaultError(.cannotRead, "")) { _ = try PrivateFile.readPublic(path, limit: 16) }
    unlink(path)
    // A pipe that was passed in is read to its end.
    var ends: [Int32] = [-1, -1]
    #expect(pipe(&ends) == 0)
    #expect(Glibc.write(ends[1], "secret", 6) == 6)
    close(ends[1])
    defer { close(ends[0]) }
    let secret = try PrivateFile.read("/dev/fd/\(ends[0])")
    let text = secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    #expect(text == "secret")
  }

  @Test func aFileThatGrewSinceItsSizeWasAskedIsReadWhole() throws {
    try write(Array("one two".utf8), to: path)
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    let secret = try PrivateFile.read(descriptor, ofSize: 3, limit: 16, path)
    let text = secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    #expect(text == "one two")
    #expect(throws: VaultError(.invalidInput, "")) {
      lseek(descriptor, 0, SEEK_SET)
      _ = try PrivateFile.read(descriptor, ofSize: 3, limit: 4, path)
    }
  }

  @Test func anExistingFileIsNeverOverwritten() throws {
    try write(Array("mine".utf8), to: path)
    #expect(throws: VaultError(.alreadyExists, "")) { try create("secret", at: path) }
    #expect(try contents(of: path) == Array("mine".utf8))
    #expect(try folder.names() == ["identity"])
  }

  @Test func aFileBesideItIsLeftAlone() throws {
    try write(Array("mine".utf8), to: path + ".new")
    try create("secret", at: path)
    #expect(try contents(of: path + ".new") == Array("mine".utf8))
  }

  @Test func noLinkIsFollowed() throws {
    #expect(symlink(folder.path + "/elsewhere", path) == 0)
    #expect(throws: VaultError(.alreadyExists, "")) { try create("secret", at: path) }
    #expect(try folder.names() == ["identity"])
  }

  @Test func withoutUnnamedFilesTheSameHolds() throws {
    let bytes = Array("secret".utf8)
    try PrivateFile.createThroughNamed(path) { try $0(bytes.span.bytes) }
    #expect(try mode(of: path) == 0o600)
    #expect(throws: VaultError(.alreadyExists, "")) {
      try PrivateFile.createThroughNamed(path) { try $0(bytes.span.bytes) }
    }
    #expect(try folder.names() == ["identity"])
  }

  @Test func whatIsReplacedIsOverwrittenUnlessItHasAnotherName() throws {
    let secret = [UInt8](repeating: 7, count: 5000)
    try create("new", at: folder.path + "/new")
    let new = try PrivateFile.read(folder.path + "/new")
    for isCopied in [false, true] {
      try write(secret, to: path)
      let copy = folder.path + "/copy"
      #expect(!isCopied || link(path, copy) == 0)
      let old = open(path, O_RDONLY)
      defer { close(old) }
      try PrivateFile.replace(path, new.bytes, wipesOld: true)
      #expect(try contents(of: path) == Array("new".utf8))
      let left = try PrivateFile.readAll(old, limit: secret.count, "the old file").withUnsafeBytes { Array($0) }
      #expect(left == (isCopied ? secret : [UInt8](repeating: 0, count: secret.count)))
    }
  }

  @Test func aFolderThatIsNotThereCannotBeWrittenTo() throws {
    #expect(throws: VaultError(.cannotWrite, "")) { try create("secret", at: folder.path + "/absent/identity") }
  }

  @Test func newFoldersAreTheirOwnersAlone() throws {
    let before = umask(0)
    defer { umask(before) }
    try PrivateFile.createFolder(folder.path + "/a/b/")
    try PrivateFile.createFolder(folder.path + "/a/b")
    #expect(try mode(of: folder.path + "/a") == 0o700)
    #expect(try mode(of: folder.path + "/a/b") == 0o700)
    #expect(rmdir(folder.path + "/a/b") == 0 && rmdir(folder.path + "/a") == 0)
  }

  @Test func aFileWhereAFolderMustBeIsRefused() throws {
    try write([], to: path)
    #expect(throws: VaultError(.cannotWrite, "")) { try PrivateFile.createFolder(path) }
  }

  @Test func readingEndsAtItsLimit() throws {
    try write([UInt8](repeating: 7, count: 100), to: path)
    let whole = try PrivateFile.read(path, limit: 100)
    #expect(whole.count == 100)
    #expect(throws: VaultError(.invalidInput, "")) { _ = try PrivateFile.read(path, limit: 99) }
    #expect(throws: VaultError(.notFound, "")) { _ = try PrivateFile.read(path + ".absent") }
    #expect(throws: VaultError(.cannotRead, "")) { _ = try PrivateFile.read(folder.path) }
  }
}
