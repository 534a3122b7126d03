import Foundation
import Glibc
import Rotation
import Sodium
import Testing
import Vault

@testable import Delivery

/// A folder that is deleted with the value.
final class Folder: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/relatch-delivery.XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
    }
    path = try #require(made)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func text(_ name: String) throws -> String { try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8) }

  func write(_ name: String, _ text: String, mode: mode_t = 0o644) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
    #expect(chmod("\(path)/\(name)", mode) == 0)
  }

  func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }

  func status(_ name: String) throws -> stat {
    var found = stat()
    try #require(lstat("\(path)/\(name)", &found) == 0)
    return found
  }

  /// Writes an executable script.
  func script(_ lines: String) throws -> String {
    let name = "script-\(UUID().uuidString)"
    try write(name, "#!/bin/sh\n\(lines)\n", mode: 0o755)
    try waitUntilNotWritten(name)
    return "\(path)/\(name)"
  }

  /// `F_SETLEASE`, which Glibc's module hides.
  private static let setLease: Int32 = 1024

  /// A process that another test was just starting as the file was written has it open for writing until it runs its
  /// program, and until then nobody can run the file. A lease for reading is refused for as long.
  private func waitUntilNotWritten(_ name: String) throws {
    let descriptor = open("\(path)/\(name)", O_RDONLY | O_CLOEXEC)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    while fcntl(descriptor, Self.setLease, F_RDLCK) != 0 {
      try #require(errno == EAGAIN)
      sched_yield()
    }
    #expect(fcntl(descriptor, Self.setLease, F_UNLCK) == 0)
  }
}

func secret(_ text: String) throws -> SecretBytes {
  let bytes = Array(text.utf8)
  return try SecretBytes(copying: bytes.span.bytes)
}

func pair(_ id: String = "3MVG9.id/of+a~client", _ word: String = "s3cr3t/of+a client\"with%all") throws -> Pair {
  Pair(clientID: try secret(id), clientSecret: try secret(word))
}

func text(_ bytes: borrowing SecretBytes) -> String {
  bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
}

/// The error that `body` throws; nil if it throws none.
func deliveryError(_ body: () throws -> Void) -> DeliveryError? {
  do {
    try body()
    return nil
  } catch { return error as? DeliveryError }
}
