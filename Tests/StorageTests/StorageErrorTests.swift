import Storage
import Testing

@Suite("StorageError")
struct StorageErrorTests {
  @Test("equality compares only the code")
  func equality() {
    #expect(StorageError(.busy, "a") == StorageError(.busy, "b"))
    #expect(StorageError(.busy, "a") != StorageError(.corrupt, "a"))
  }

  @Test("big-endian bytes keep the order of numbers and are read back exactly")
  func bigEndian() {
    for number: UInt64 in [0, 1, 0xFF, 0x100, UInt64(UInt32.max), .max] {
      #expect(UInt64(bigEndianBytes: number.bigEndianBytes) == number)
    }
    #expect(UInt64(255).bigEndianBytes.lexicographicallyPrecedes(UInt64(256).bigEndianBytes))
    #expect(Int64(bigEndianBytes: Int64.min.bigEndianBytes) == .min)
    #expect(UInt64(bigEndianBytes: [1, 2, 3]) == nil)
  }
}
