import Glibc
import Sodium
import Testing

/// Outside `#expect`, which cannot take apart a call on a value that cannot be copied.
private func areEqual(_ left: borrowing SecretBytes, _ right: borrowing SecretBytes) -> Bool { left.isEqual(to: right) }

private struct Refusal: Error {}

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

  @Test("equality looks at every byte and at the length")
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

  @Test("an error while filling comes out, and leaves no secret")
  func failingFill() {
    #expect(throws: Refusal.self) {
      _ = try SecretBytes(capacity: 8) { output in
        output.append(UInt8(1))
        throw Refusal()
      }
    }
  }

  @Test("what a failed fill wrote is gone from memory")
  func failedFillIsGone() async {
    await #expect(processExitsWith: .signal(SIGSEGV)) {
      signal(SIGSEGV, SIG_DFL)
      var address: UnsafeMutableRawPointer?
      _ = try? SecretBytes(capacity: 8) { output in
        output.append(UInt8(1))
        output.withUnsafeMutableBytes { buffer, _ in address = buffer.baseAddress }
        throw Refusal()
      }
      guard let address else { exit(0) }
      exit(CInt(address.load(as: UInt8.self)))
    }
  }

  @Test("a secret is gone from memory when its value ends")
  func endedSecretIsGone() async {
    await #expect(processExitsWith: .signal(SIGSEGV)) {
      signal(SIGSEGV, SIG_DFL)
      func address(of secret: consuming SecretBytes) -> UnsafeRawPointer? { secret.withUnsafeBytes { $0.baseAddress } }
      guard let address = address(of: try Randomness.system.secret(8)) else { exit(0) }
      exit(CInt(address.load(as: UInt8.self)))
    }
  }

  @Test("a filled secret cannot be written")
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

  @Test("one byte past the end is a guard page")
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

  @Test("a shared secret is read through its owner")
  func shared() throws {
    let bytes: [UInt8] = [1, 2, 3]
    let shared = SharedSecret(try SecretBytes(copying: bytes.span.bytes))
    let owners = [shared, shared]
    #expect(owners.map { $0.secret.withBytes { bytes in bytes.byteCount } } == [3, 3])
  }
}

@Suite("Randomness")
struct RandomnessTests {
  @Test("the system's bytes differ from call to call, and a given source's are its own")
  func sources() throws {
    #expect(Randomness.system.bytes(32) != Randomness.system.bytes(32))
    #expect(Randomness.system.bytes(0).isEmpty)
    let fives = Randomness { buffer in buffer.initializeMemory(as: UInt8.self, repeating: 5) }
    #expect(fives.bytes(3) == [5, 5, 5])
    #expect(try fives.secret(3).withUnsafeBytes { Array($0) } == [5, 5, 5])
  }

  @Test("a fraction is in 0 ..< 1 at both ends of the source")
  func fraction() {
    let zeros = Randomness { $0.initializeMemory(as: UInt8.self, repeating: 0) }
    let ones = Randomness { $0.initializeMemory(as: UInt8.self, repeating: 0xFF) }
    #expect(zeros.fraction() == 0)
    #expect(ones.fraction() < 1 && ones.fraction() > 0.999_999)
  }
}
