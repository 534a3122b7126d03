import Foundation

/// Looks for parts of secrets in memory. It finds 15 bytes of one in any form wherever they are, and a part of 8 bytes
/// if it is aligned as registers and keys are. A copy in freed memory has often lost its beginning.
///
/// Every aligned word of the memory is compared with each run of 8 bytes in a secret.
struct MemorySearch {
  private static let size = 8

  private let patterns: [SecretSearch.Pattern]
  /// Maps each word to the first pattern that has it.
  private var words: [UInt64: Int] = [:]
  /// One bit for each hash of a word, so that few words must be looked up.
  private var isLikely = [Bool](repeating: false, count: 1 << 20)

  /// Uses the forms of `secrets` that have at least 8 bytes.
  init(_ secrets: SecretSearch) {
    patterns = secrets.patterns
    for (index, pattern) in patterns.enumerated() {
      let bytes = [UInt8](pattern.bytes)
      guard bytes.count >= Self.size else { continue }
      for start in 0...bytes.count - Self.size {
        let word = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: start, as: UInt64.self) }
        if words[word] == nil { words[word] = index }
        isLikely[Self.hash(word)] = true
      }
    }
  }

  private static func hash(_ word: UInt64) -> Int { Int(truncatingIfNeeded: (word &* 0x9E37_79B9_7F4A_7C15) >> 44) }

  /// The patterns of which a part is in `memory`, which begins at a word.
  func findings(in memory: UnsafeRawBufferPointer) -> [SecretSearch.Pattern] {
    let all = memory.bindMemory(to: UInt64.self)
    guard let base = all.baseAddress else { return [] }
    var found: Set<Int> = []
    isLikely.withUnsafeBufferPointer { isLikely in
      guard let likely = isLikely.baseAddress else { return }
      // Written out with pointers, because tests are built without optimisation.
      var next = base
      let end = base + all.count
      while next < end {
        let word = next.pointee
        next += 1
        if word == 0 { continue }
        if likely[Int(truncatingIfNeeded: (word &* 0x9E37_79B9_7F4A_7C15) >> 44)], let index = words[word] {
          found.insert(index)
        }
      }
    }
    return found.sorted().map { patterns[$0] }
  }

  /// What is found in any file below `folder`, with its path.
  func findings(below folder: URL) throws -> [String] {
    guard let paths = FileManager.default.enumerator(atPath: folder.path) else { return [] }
    return try paths.compactMap { $0 as? String }.flatMap { path -> [String] in
      let file = folder.path + "/" + path
      var status = stat()
      // Files may be written to and removed meanwhile, as those beside a database are.
      guard lstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return [] }
      return try findings(in: Data(contentsOf: URL(fileURLWithPath: file))).map { "\($0) in \(path)" }
    }
  }

  /// What is found in `data`.
  func findings(in data: Data) -> [String] {
    // In whole words, wherever the data is.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: (data.count + 7) / 8 * 8, alignment: 8)
    defer { buffer.deallocate() }
    buffer.initializeMemory(as: UInt8.self, repeating: 0)
    data.copyBytes(to: buffer)
    return findings(in: UnsafeRawBufferPointer(buffer)).map { "\($0.secret) as \($0.form)" }
  }
}
