import Audit
import Contracts
import Glibc
import Testing

@testable import Vault

@Suite("The archive in a backup")
struct BackupTests {
  private let modified = Timestamp(milliseconds: 1_767_225_600_000)
  private let ids = ["00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"].compactMap {
    Identifier($0)
  }

  private func archive(keys: Int = 2, _ database: [UInt8]) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try BackupArchive(modified: modified) { piece in piece.withUnsafeBytes { bytes += Array($0) } }
      .write(
        keyFiles: ids.prefix(keys).reversed().map { ($0, Array("key \($0)\n".utf8)) }, databaseSize: database.count
      ) { write in
        for start in stride(from: 0, to: database.count, by: 100) {
          try write(Array(database[start..<min(start + 100, database.count)]).span.bytes)
        }
      }
    return bytes
  }

  private func extract(_ archive: [UInt8], step: Int = 300) throws -> [String: [UInt8]] {
    let folder = try TemporaryFolder()
    defer {
      for name in (try? TemporaryFolder.names(in: folder.path + "/keys")) ?? [] {
        unlink("\(folder.path)/keys/\(name)")
      }
      rmdir(folder.path + "/keys")
    }
    let extraction = BackupExtraction(into: folder.path)
    for start in stride(from: 0, to: archive.count, by: step) {
      try extraction.append(Array(archive[start..<min(start + step, archive.count)]).span.bytes)
    }
    try extraction.finish()
    var files: [String: [UInt8]] = [:]
    for name in ids.map({ "keys/\($0).age" }) + ["vault.db"] {
      files[name] = try? contents(of: "\(folder.path)/\(name)")
      if files[name] != nil { #expect(try mode(of: "\(folder.path)/\(name)") == 0o600) }
    }
    #expect(try folder.names() == ["keys", "vault.db"])
    return files
  }

  @Test("is extracted as it was written, whatever the pieces", arguments: [1, 513, 1 << 20], [1, 512, 1000])
  func roundTrip(step: Int, size: Int) throws {
    let database = (0..<size).map { UInt8($0 % 251) }
    let bytes = try archive(database)
    #expect(bytes.count % 512 == 0)
    let files = try extract(bytes, step: step)
    #expect(files["vault.db"] == database)
    #expect(files["keys/\(ids[0]).age"] == Array("key \(ids[0])\n".utf8) && files.count == 3)
  }

  @Test("is refused if it is altered outside of the files, cut off or extended")
  func strict() throws {
    let bytes = try archive(keys: 1, Array(repeating: 7, count: 600))
    // keys/; a key's header and content; the database's header, content and padding; the end.
    for start in [0, 512, 1536] {
      let header = Array(bytes[start..<start + 512])
      #expect(try BackupHeader(decoding: header).bytes == header)
      for index in header.indices {
        for bit in 0..<8 {
          var altered = header
          altered[index] ^= 1 << bit
          #expect(throws: VaultError(.corrupt, ""), "byte \(index)") { try BackupHeader(decoding: altered) }
        }
      }
    }
    for index in [1024 + 37, 1535, 2048 + 600, 3071, 3072, 3584, bytes.count - 1] {
      var altered = bytes
      altered[index] = 1
      #expect(throws: VaultError(.corrupt, ""), "byte \(index)") { try extract(altered, step: 4096) }
    }
    for count in stride(from: 0, to: bytes.count, by: 512) {
      #expect(throws: VaultError(.corrupt, "")) { try extract(Array(bytes[..<count]), step: 4096) }
    }
    for more in [[0], [UInt8](repeating: 0, count: 512)] {
      #expect(throws: VaultError(.corrupt, "")) { try extract(bytes + more, step: 4096) }
    }
  }

  @Test("has only digits in its numbers, and any time is written as one that they can express")
  func numbers() throws {
    let header = Array(try archive([7])[512..<1024])
    for field in [124, 136] {
      for text in ["-7777777777", "+0000000041", " 0000000041", "0000000004\0"] {
        var altered = header
        altered.replaceSubrange(field..<field + 11, with: Array(text.utf8))
        altered.replaceSubrange(148..<156, with: Array("        ".utf8))
        let sum = String(altered.reduce(0) { $0 + Int($1) }, radix: 8)
        altered.replaceSubrange(
          148..<155, with: Array((String(repeating: "0", count: 6 - sum.count) + sum + "\0").utf8))
        #expect(throws: VaultError(.corrupt, ""), "\(text)") { try BackupHeader(decoding: altered) }
      }
    }
    for seconds in [-1, BackupHeader.maximumFileSize + 1, 253_402_300_799] {
      let header = BackupHeader(.database, size: 1, modified: Timestamp(milliseconds: Int64(seconds) * 1000))
      #expect(try BackupHeader(decoding: header.bytes) == header)
    }
  }

  @Test("is not written if a key file is empty or too large to be restored", arguments: [0, 65_537])
  func keyFileSize(_ size: Int) throws {
    var written = 0
    #expect(throws: VaultError(.corrupt, "")) {
      try BackupArchive(modified: modified) { written += $0.byteCount }
        .write(keyFiles: [(ids[0], Array(repeating: 7, count: size))], databaseSize: 1) { _ in }
    }
    #expect(written == 0)
  }

  @Test("is accepted only with each item once and in order")
  func order() throws {
    let bytes = try archive(Array(repeating: 7, count: 512))
    let (keys, first, second) = (Array(bytes[..<512]), Array(bytes[512..<1536]), Array(bytes[1536..<2560]))
    let (database, end) = (Array(bytes[2560..<3584]), Array(bytes[3584...]))
    #expect(try extract(keys + first + second + database + end).count == 3)
    for wrong in [
      first + second + database + end, keys + database + end, keys + second + first + database + end,
      keys + first + first + database + end, keys + keys + first + database + end,
      keys + first + database + database + end, database + keys + first + end, end, keys + first + end,
    ] {
      #expect(throws: VaultError(.corrupt, "")) { try extract(wrong) }
    }
  }
}
