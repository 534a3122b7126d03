import Glibc

/// Reads the plaintext of a backup as it arrives, and writes the vault's files into a folder. It fails on anything that
/// a backup does not have: other names, links, modes, another order, or bytes after the end.
package final class BackupExtraction {
  /// What comes next.
  private enum Part {
    case header
    case content(path: String, descriptor: Int32, left: Int, padding: Int)
    /// Zero bytes, and whether the archive ends with them.
    case zeros(Int, isEnd: Bool)
    case nothing
  }

  private let folder: String
  private var part = Part.header
  private var header: [UInt8] = []
  private var previous: BackupHeader.Item?

  /// The files go into `folder`, which is empty and remains the caller's.
  package init(into folder: String) { self.folder = folder }

  deinit {
    if case .content(_, let descriptor, _, _) = part { close(descriptor) }
  }

  /// Takes the next bytes of the archive. Throws `corrupt`, `cannotWrite`.
  package func append(_ bytes: RawSpan) throws {
    var start = 0
    while start < bytes.byteCount { start += try take(bytes.extracting(droppingFirst: start)) }
  }

  /// Fails unless the archive was whole; makes the files durable.
  package func finish() throws {
    guard case .nothing = part else { throw VaultError(.corrupt, "the archive ends early") }
    try PrivateFile.synchronize(folder + "/keys")
    try PrivateFile.synchronize(folder)
  }

  /// Uses some of `bytes`, and returns how many.
  private func take(_ bytes: RawSpan) throws -> Int {
    switch part {
    case .header:
      let count = min(bytes.byteCount, BackupHeader.size - header.count)
      bytes.extracting(first: count).withUnsafeBytes { header.append(contentsOf: $0) }
      if header.count == BackupHeader.size {
        // What follows the database is the end: two blocks of zeros.
        try begin(BackupHeader(decoding: header))
        header = []
      }
      return count
    case .content(let path, let descriptor, let left, let padding):
      let count = min(bytes.byteCount, left)
      try PrivateFile.writeAll(descriptor, bytes.extracting(first: count), path)
      part = .content(path: path, descriptor: descriptor, left: left - count, padding: padding)
      if count == left { try end(path, descriptor, padding: padding) }
      return count
    case .zeros(let left, let isEnd):
      let count = min(bytes.byteCount, left)
      guard bytes.extracting(first: count).withUnsafeBytes({ $0.allSatisfy { $0 == 0 } }) else {
        throw VaultError(.corrupt, "the archive has something where it must be empty")
      }
      part = count < left ? .zeros(left - count, isEnd: isEnd) : isEnd ? .nothing : .header
      return count
    case .nothing: throw VaultError(.corrupt, "the archive goes on after its end")
    }
  }

  private func begin(_ found: BackupHeader) throws {
    let isInOrder: Bool
    switch (found.item, previous) {
    case (.keysFolder, nil): isInOrder = found.size == 0
    case (.keyFile, .keysFolder): isInOrder = true
    case (.keyFile(let id), .keyFile(let before)): isInOrder = before.description < id.description
    case (.database, .keyFile): isInOrder = found.size > 0
    default: isInOrder = false
    }
    guard isInOrder else { throw VaultError(.corrupt, "the archive has \(found.item.name) in the wrong place") }
    if case .keyFile = found.item, !BackupHeader.keyFileSizes.contains(found.size) {
      throw VaultError(.corrupt, "the archive has a key file of \(found.size) bytes")
    }
    previous = found.item
    guard found.item != .keysFolder else { return try PrivateFile.createFolder(folder + "/keys") }
    let path = "\(folder)/\(found.item.name)"
    let descriptor = try PrivateFile.createEmpty(path)
    part = .content(path: path, descriptor: descriptor, left: found.size, padding: found.padding)
  }

  private func end(_ path: String, _ descriptor: Int32, padding: Int) throws {
    let isEnd = previous == .database
    part = isEnd || padding > 0 ? .zeros(padding + (isEnd ? 2 * BackupHeader.size : 0), isEnd: isEnd) : .header
    try PrivateFile.close(descriptor, path)
  }
}
