import Foundation

/// One mapping of a process's memory, as the kernel reports it in `/proc/PID/smaps`.
struct MemoryMapping: Sendable {
  let start: UInt
  let end: UInt
  let isWritable: Bool
  let isShared: Bool
  /// The file mapped, or the kernel's word for it, such as `[heap]`; empty for anonymous memory.
  let name: String
  /// In KiB: what is in memory, and how much of that is not an unchanged page of a file; what is locked; what went to
  /// swap.
  fileprivate(set) var resident = 0
  fileprivate(set) var anonymous = 0
  fileprivate(set) var locked = 0
  fileprivate(set) var swapped = 0
  /// Two letters each: proc_pid_smaps(5), VmFlags.
  fileprivate(set) var flags: Set<String> = []

  /// What the pages belong to: mappings of the same object share pages. Nil for private mappings.
  private let object: String?
  /// Whether another mapping of the same pages is locked, which is what keeps them out of swap.
  private var hasLockedTwin = false

  /// Whether the kernel keeps it out of swap, and out of core dumps.
  var isGuarded: Bool { flags.contains("dd") && (isLocked || hasLockedTwin) && swapped == 0 }

  private var isLocked: Bool { flags.contains("lo") && locked > 0 }

  /// Whether it can hold anything that no file holds: an unchanged page of a file tells nothing new.
  fileprivate var isWorthReading: Bool {
    // A sanitizer's shadow memory takes terabytes, and the kernel's own pages hold nothing of ours.
    resident + swapped > 0 && (anonymous + swapped > 0 || isShared) && end - start < 1 << 32 && !name.hasPrefix("[v")
  }

  static func all(of pid: Int32) throws -> [MemoryMapping] {
    var mappings: [MemoryMapping] = []
    for line in try procFile("/proc/\(pid)/smaps").split(separator: UInt8(ascii: "\n")) {
      guard let first = line.first else { continue }
      if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
        || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(first)
      {
        if let mapping = MemoryMapping(line) { mappings.append(mapping) }
        continue
      }
      guard let last = mappings.indices.last else { continue }
      switch first {
      case UInt8(ascii: "R"): if let size = size(line, "Rss:") { mappings[last].resident = size }
      case UInt8(ascii: "A"): if let size = size(line, "Anonymous:") { mappings[last].anonymous = size }
      case UInt8(ascii: "L"): if let size = size(line, "Locked:") { mappings[last].locked = size }
      case UInt8(ascii: "S"): if let size = size(line, "Swap:") { mappings[last].swapped = size }
      case UInt8(ascii: "V"):
        mappings[last].flags = Set(
          String(decoding: line, as: UTF8.self).split(separator: " ").dropFirst().map(String.init))
      default: break
      }
    }
    let locked = Set(mappings.filter(\.isLocked).compactMap(\.object))
    for index in mappings.indices {
      mappings[index].hasLockedTwin = mappings[index].object.map(locked.contains) ?? false
    }
    return mappings
  }

  /// "7f0c-7f0d rw-p 00000000 00:00 0    [heap]"
  private init?(_ line: Data) {
    let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5).map { String(decoding: $0, as: UTF8.self) }
    guard fields.count >= 5 else { return nil }
    let bounds = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
    guard bounds.count == 2 else { return nil }
    (start, end) = (bounds[0], bounds[1])
    isWritable = fields[1].dropFirst().hasPrefix("w")
    isShared = fields[1].hasSuffix("s")
    object = isShared ? "\(fields[3]) \(fields[4]) \(fields[2])" : nil
    name = fields.count > 5 ? fields[5].trimmingCharacters(in: .whitespaces) : ""
  }

  private static func size(_ line: Data, _ name: String) -> Int? {
    guard line.starts(with: name.utf8) else { return nil }
    return line.reduce(0) { (48...57).contains($1) ? $0 * 10 + Int($1 - 48) : $0 }
  }
}

/// The whole memory of a process at one moment, readable only by root.
struct ProcessMemory {
  struct Hit: Hashable {
    enum Place: String { case guarded, heap, stack, file }
    let secret: String
    let form: String
    let place: Place
    let mapping: String
  }

  let mappings: [MemoryMapping]
  private let pid: Int32
  private let stacks: [UInt]

  init(of pid: Int32) throws {
    self.pid = pid
    mappings = try MemoryMapping.all(of: pid)
    let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
    stacks = threads.compactMap { thread in
      // The second-to-last word is the stack pointer.
      let words = (try? procFile("/proc/\(pid)/task/\(thread)/syscall"))?.split(separator: UInt8(ascii: " "))
      guard let words, words.count >= 3 else { return nil }
      return UInt(String(decoding: words[words.count - 2], as: UTF8.self).dropFirst(2), radix: 16)
    }
  }

  /// Every place in which `search` finds a part of a secret.
  func hits(of search: MemorySearch) throws -> Set<Hit> {
    let memory = open("/proc/\(pid)/mem", O_RDONLY | O_CLOEXEC)
    let pages = open("/proc/\(pid)/pagemap", O_RDONLY | O_CLOEXEC)
    defer { for descriptor in [memory, pages] where descriptor >= 0 { close(descriptor) } }
    guard memory >= 0, pages >= 0 else { throw CannotRead(what: "the memory of \(pid): \(errno)") }
    var hits: Set<Hit> = []
    for mapping in mappings where mapping.isWorthReading {
      try Self.forEachRun(of: mapping, pages) { run in
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: run.count, alignment: 8)
        defer { buffer.deallocate() }
        let count = pread(memory, buffer.baseAddress, run.count, Int(run.lowerBound))
        guard count == run.count else {
          throw CannotRead(what: "\(run.count) bytes of \(mapping.name) at \(run.lowerBound): \(count), \(errno)")
        }
        for found in search.findings(in: UnsafeRawBufferPointer(buffer)) {
          hits.insert(
            Hit(secret: found.secret, form: found.form, place: place(of: mapping), mapping: mapping.name))
        }
      }
    }
    return hits
  }

  private func place(of mapping: MemoryMapping) -> Hit.Place {
    if mapping.isGuarded { return .guarded }
    if mapping.name == "[stack]" || stacks.contains(where: { (mapping.start..<mapping.end).contains($0) }) {
      return .stack
    }
    return mapping.name.isEmpty || mapping.name == "[heap]" ? .heap : .file
  }

  /// Calls `body` with the runs of pages that exist, in memory or in swap: most of a stack never did.
  private static func forEachRun(
    of mapping: MemoryMapping, _ pages: Int32, _ body: (Range<UInt>) throws -> Void
  ) throws {
    let size: UInt = 4096
    let count = Int((mapping.end - mapping.start) / size)
    let entries = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
    defer { entries.deallocate() }
    guard pread(pages, entries, count * 8, Int(mapping.start / size) * 8) == count * 8 else {
      throw CannotRead(what: "which pages \(mapping.name) has: \(errno)")
    }
    var index = 0
    while index < count {
      guard entries[index] >> 62 != 0 else {
        index += 1
        continue
      }
      let first = index
      while index < count, entries[index] >> 62 != 0 { index += 1 }
      try body(mapping.start + UInt(first) * size..<mapping.start + UInt(index) * size)
    }
  }
}

struct CannotRead: Error { let what: String }

/// All of a file whose size the kernel does not report.
func procFile(_ path: String) throws -> Data {
  guard let handle = FileHandle(forReadingAtPath: path) else { throw CannotRead(what: "\(path): \(errno)") }
  return try handle.readToEnd() ?? Data()
}
