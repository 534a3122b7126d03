import Foundation
import Sodium
import Vault

/// A process that has a pair as `add` has it, in guarded memory, and one copy of its secret elsewhere.
enum PlantedCopy: String, Codable, CaseIterable, Sendable {
  case nothing
  case string
  /// A `String` that was freed: what is left of it in freed memory.
  case freedString
  case base64
  case stack
  /// In a file that was removed and is still open.
  case deletedFile

  /// Reads the file `pair` in `folder`, plants the copy, writes the process's number to the file `pid`, and waits
  /// forever.
  func hold(in folder: String) throws {
    let ready = Ready(file: folder + "/pid", number: Array("\(getpid())".utf8))
    let pair = try Pair(reading: SharedSecret(PrivateFile.read(folder + "/pair")))
    var kept: String?
    switch self {
    case .nothing: break
    case .string: kept = Self.text(of: pair)
    case .freedString: withExtendedLifetime(Self.text(of: pair)) {}
    case .base64: kept = Data(Self.text(of: pair).utf8).base64EncodedString()
    case .stack: return Self.holdOnStack(pair, ready)
    case .deletedFile:
      let path = folder + "/temporary"
      let descriptor = open(path, O_RDWR | O_CREAT, 0o600)
      _ = pair.clientSecret.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      unlink(path)
    }
    withExtendedLifetime((kept, pair)) { ready.wait() }
  }

  private static func text(of pair: Pair) -> String {
    pair.clientSecret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
  }

  @inline(never)
  private static func holdOnStack(_ pair: Pair, _ ready: Ready) {
    withUnsafeTemporaryAllocation(byteCount: 128, alignment: 8) { copy in
      pair.clientSecret.withUnsafeBytes { copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0.prefix(128))) }
      withExtendedLifetime(pair) { ready.wait() }
    }
  }
}

/// Writes a process's own number to a file.
private struct Ready {
  let file: String
  let number: [UInt8]

  /// Uses only system calls, because an allocation might reuse freed memory, and does nothing afterwards.
  func wait() -> Never {
    let descriptor = open(file, O_WRONLY | O_CREAT, 0o600)
    write(descriptor, number, number.count)
    close(descriptor)
    while true { pause() }
  }
}
