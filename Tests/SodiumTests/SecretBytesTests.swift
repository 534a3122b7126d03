import Glibc
import Sodium
import Testing

/// Outside `#expect`, which cannot take apart a call on a value that cannot be copied.
private func areEqual(_ left: borrowing SecretBytes, _ right: borrowing SecretBytes) -> Bool { left.isEqual(to: right) }

private struct Refusal: Error {}

/// Whether the `count` bytes at `address`, which nobody owns any more, are zero.
private func isWiped(_ address: UnsafeRawPointer?, _ count: Int) -> Bool {
  guard let address else { return false }
  return UnsafeRawBufferPointer(start: address, count: count).allSatisfy { $0 == 0 }
}

/// How much memory this process has locked, according to the kernel; -1 if that cannot be read.
private func lockedKiB() -> Int {
  guard let file = fopen("/proc/self/status", "r") else { return -1 }
  defer { fclose(file) }
  var line = [CChar](repeating: 0, count: 256)
  while fgets(&line, 256, file) != nil {
    let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      .split(whereSeparator: \.isWhitespace)
    if words.first == "VmLck:", words.count > 1 { return Int(words[1]) ?? -1 }
  }
  return -1
}

@Suite("Guarded memory")
struct SecretBytesTests {
  @Test("a secret holds what was written, and no more", arguments: [0, 1, 32, 4_096, 70_000])
  func contents(size: Int) throws {
    let bytes = Randomness.system.bytes(size)
    let copy = try SecretBytes(copying: bytes.span.bytes)
    #expect(copy.count == size)
    #expect(copy.withUnsafeBytes { Array($0) } == bytes)
    #expect(copy.withBytes { span in span.withUnsafeBytes { Array($0) } } == bytes)
    let shorter = try SecretBytes(capacity: size + 100) { output in output.append(copying: bytes.span.bytes) }
    #expect(shorter.count == size)
    #expect(areEqual(shorter, copy) == true)
  }

  @Test("equality compares every byte and the length")
  func equality() throws {
    let bytes = [UInt8](repeating: 7, count: 33)
    let secret = try SecretBytes(copying: bytes.span.bytes)
    let clone = try secret.clone()
    #expect(areEqual(secret, clone) == true)
    #expect(secret.withUnsafeBytes { $0.baseAddress } != clone.withUnsafeBytes { $0.baseAddress })
    for index in bytes.indices {
      var altered = bytes
      altered[index] ^= 1
      let other = try SecretBytes(copying: altered.span.bytes)
      #expect(areEqual(secret, other) == false)
    }
    let shorter = try SecretBytes(copying: Array(bytes.dropLast()).span.bytes)
    #expect(areEqual(secret, shorter) == false)
  }

  @Test("a part has the bytes of its range, and a range outside of the secret is an error")
  func parts() throws {
    func part(_ range: Range<Int>, of bytes: [UInt8]) throws -> SecretBytes {
      try SecretBytes(part: range, of: SharedSecret(SecretBytes(copying: bytes.span.bytes)))
    }
    let bytes = Randomness.system.bytes(100)
    for range in [0..<100, 0..<0, 100..<100, 7..<40, 99..<100] {
      let found = try part(range, of: bytes)
      let again = try found.clone()
      #expect(found.withUnsafeBytes { Array($0) } == Array(bytes[range]))
      #expect(again.withUnsafeBytes { Array($0) } == Array(bytes[range]))
    }
    for range in [0..<101, 101..<101, -1..<5, 99..<Int.max, Int.min..<0] {
      #expect(throws: SodiumError.self) { _ = try part(range, of: bytes) }
    }
  }

  @Test("a whole secret is wiped when the lifetime of its last part ends")
  func endedPartIsGone() async {
    await #expect(processExitsWith: .success) {
      func address(of secret: consuming SecretBytes) -> UnsafeRawPointer? { secret.withUnsafeBytes { $0.baseAddress } }
      let part = try SecretBytes(part: 2..<5, of: SharedSecret(Randomness.system.secret(8)))
      let isThere = part.withUnsafeBytes { !isWiped($0.baseAddress, $0.count) }
      guard isThere, let address = address(of: part) else { exit(1) }
      exit(isWiped(address - 2, 8) ? 0 : 2)
    }
  }

  @Test("an error while filling a secret reaches the caller")
  func failingFill() {
    #expect(throws: Refusal.self) {
      _ = try SecretBytes(capacity: 8) { output in
        output.append(UInt8(1))
        throw Refusal()
      }
    }
  }

  @Test("what was written before filling failed is wiped")
  func failedFillIsGone() async {
    await #expect(processExitsWith: .success) {
      var address: UnsafeMutableRawPointer?
      _ = try? SecretBytes(capacity: 8) { output in
        for byte in 1...8 { output.append(UInt8(byte)) }
        output.withUnsafeMutableBytes { buffer, _ in address = buffer.baseAddress }
        throw Refusal()
      }
      exit(isWiped(address, 8) ? 0 : 1)
    }
  }

  @Test("a secret is wiped when its lifetime ends")
  func endedSecretIsGone() async {
    await #expect(processExitsWith: .success) {
      func address(of secret: consuming SecretBytes) -> UnsafeRawPointer? { secret.withUnsafeBytes { $0.baseAddress } }
      exit(isWiped(address(of: try Randomness.system.secret(16)), 16) ? 0 : 1)
    }
  }

  @Test("a secret larger than a page cannot be read in memory once its lifetime ends")
  func endedLargeSecretIsGone() async {
    await #expect(processExitsWith: .signal(SIGSEGV)) {
      signal(SIGSEGV, SIG_DFL)
      func address(of secret: consuming SecretBytes) -> UnsafeRawPointer? { secret.withUnsafeBytes { $0.baseAddress } }
      guard let address = address(of: try Randomness.system.secret(9_000)) else { exit(0) }
      exit(CInt(address.load(as: UInt8.self)))
    }
  }

  @Test("writing to a filled secret stops the process")
  func readOnly() async {
    await #expect(processExitsWith: .signal(SIGSEGV)) {
      signal(SIGSEGV, SIG_DFL)
      let secret = try Randomness.system.secret(8)
      secret.withUnsafeBytes { bytes in
        guard let base = bytes.baseAddress else { exit(0) }
        UnsafeMutableRawPointer(mutating: base).storeBytes(of: 1, as: UInt8.self)
      }
      exit(0)
    }
  }

  @Test("no page of a secret is passed to a fork or written to a core dump", arguments: [32, 4_096, 70_000])
  func keptApart(size: Int) throws {
    let secret = try SecretBytes(copying: [UInt8](repeating: 7, count: size).span.bytes)
    let ends = secret.withUnsafeBytes { bytes in
      let start = UInt(bitPattern: bytes.baseAddress)
      return [start, start + UInt(size) - 1]
    }
    var mapping: ClosedRange<UInt>?
    var found = 0
    for line in try mappings() {
      let words = line.split(separator: " ")
      let bounds = words.first?.split(separator: "-").compactMap { UInt($0, radix: 16) } ?? []
      if bounds.count == 2 { mapping = bounds[0]...(bounds[1] - 1) }
      guard words.first == "VmFlags:", let mapping else { continue }
      for end in ends where mapping.contains(end) {
        found += 1
        #expect(words.contains("dc") && words.contains("dd"), "\(line)")
      }
    }
    #expect(found == 2)
  }

  private func mappings() throws -> [String] {
    let file = try #require(fopen("/proc/self/smaps", "r"))
    defer { fclose(file) }
    var (lines, line): ([String], [CChar]) = ([], [CChar](repeating: 0, count: 4096))
    while fgets(&line, 4096, file) != nil {
      lines.append(String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
    return lines
  }

  @Test("reading one byte past the end stops the process")
  func guardPage() async {
    await #expect(processExitsWith: .signal(SIGSEGV)) {
      signal(SIGSEGV, SIG_DFL)
      let secret = try Randomness.system.secret(8)
      let byte = secret.withUnsafeBytes { bytes in bytes.baseAddress?.load(fromByteOffset: 8, as: UInt8.self) }
      exit(byte == nil ? 1 : 0)
    }
  }

  @Test("writing more than the capacity stops the process")
  func overflow() async {
    await #expect(processExitsWith: .failure) {
      for number in [SIGILL, SIGTRAP, SIGSEGV, SIGABRT] { signal(number, SIG_DFL) }
      let bytes = [UInt8](repeating: 1, count: 9)
      _ = try SecretBytes(capacity: 8) { output in output.append(copying: bytes.span.bytes) }
      exit(0)
    }
  }

  @Test("a write before the first byte stops the process when the secret ends", arguments: [1, 200, 4_080, 9_000])
  func underflow(size: Int) async {
    await #expect(processExitsWith: .failure) { [size] in
      for number in [SIGILL, SIGTRAP, SIGSEGV, SIGABRT] { signal(number, SIG_DFL) }
      _ = try SecretBytes(capacity: size) { output in
        output.withUnsafeMutableBytes { buffer, _ in
          guard let before = buffer.baseAddress.map({ $0 - 1 }) else { exit(0) }
          before.storeBytes(of: ~before.load(as: UInt8.self), as: UInt8.self)
        }
      }
      exit(0)
    }
  }

  @Test("memory is wiped before it is reused for another secret")
  func reuse() throws {
    for size in [1, 32, 4_080] {
      for _ in 1...300 {
        let secret = try SecretBytes(capacity: size) { output in
          output.withUnsafeMutableBytes { buffer, initialized in
            #expect(!buffer.contains(0xA7))
            buffer.initializeMemory(as: UInt8.self, repeating: 0xA7)
            initialized = buffer.count
          }
        }
        #expect(secret.count == size)
      }
    }
  }

  @Test("memory that is used again and again is wiped after each use")
  func reusedSecretIsGone() async {
    await #expect(processExitsWith: .success) {
      func address(of secret: consuming SecretBytes) -> UnsafeRawPointer? { secret.withUnsafeBytes { $0.baseAddress } }
      for _ in 1...10 {
        guard isWiped(address(of: try Randomness.system.secret(16)), 16) else { exit(1) }
      }
      exit(0)
    }
  }

  @Test("memory that small secrets leave locked does not keep a large one from being locked")
  func lockLimit() async {
    await #expect(processExitsWith: .success) {
      // Root has no limit.
      var limit = rlimit(rlim_cur: 64 << 10, rlim_max: 64 << 10)
      guard setrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0,
        getuid() != 0 || setuid(65_534) == 0
      else { exit(2) }
      do {
        var held: [SharedSecret] = []
        for _ in 1...40 { held.append(SharedSecret(try Randomness.system.secret(32))) }
        guard lockedKiB() == 64 else { exit(3) }
      }
      let large = try Randomness.system.secret(40 << 10)
      guard large.count > 0, (40...64).contains(lockedKiB()) else { exit(4) }
      _ = consume large
      exit(0)
    }
  }

  @Test("secrets that many tasks make and release at once keep their own bytes")
  func manyTasks() async throws {
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for task in 0..<16 {
        group.addTask {
          var held: [SharedSecret] = []
          for round in 0..<200 {
            let bytes = [UInt8](repeating: UInt8(task), count: 1 + (round * 37 + task) % 5_000)
            held.append(SharedSecret(try SecretBytes(copying: bytes.span.bytes)))
            if round % 3 == 0 { held.remove(at: (round * 7) % held.count) }
          }
          return held.allSatisfy { $0.secret.withUnsafeBytes { $0.allSatisfy { $0 == UInt8(task) } } }
        }
      }
      for try await areOwn in group { #expect(areOwn) }
    }
  }

  @Test("a shared secret can be read through each of its references")
  func shared() throws {
    let bytes: [UInt8] = [1, 2, 3]
    let shared = SharedSecret(try SecretBytes(copying: bytes.span.bytes))
    let owners = [shared, shared]
    #expect(owners.map { $0.secret.withBytes { bytes in bytes.byteCount } } == [3, 3])
  }
}

@Suite("Randomness")
struct RandomnessTests {
  @Test("the system's bytes differ from call to call, and a given source's bytes are used as they are")
  func sources() throws {
    #expect(Randomness.system.bytes(32) != Randomness.system.bytes(32))
    #expect(Randomness.system.bytes(0).isEmpty)
    let fives = Randomness { buffer in buffer.initializeMemory(as: UInt8.self, repeating: 5) }
    #expect(fives.bytes(3) == [5, 5, 5])
    #expect(try fives.secret(3).withUnsafeBytes { Array($0) } == [5, 5, 5])
  }

  @Test("a fraction is in 0 ..< 1 even from a source of only zeros or only ones")
  func fraction() {
    let zeros = Randomness { $0.initializeMemory(as: UInt8.self, repeating: 0) }
    let ones = Randomness { $0.initializeMemory(as: UInt8.self, repeating: 0xFF) }
    #expect(zeros.fraction() == 0)
    #expect(ones.fraction() < 1 && ones.fraction() > 0.999_999)
  }
}
