import Providers
import Sodium
import Synchronization
import Testing

@Suite("The administrator's session")
struct AdminSessionTests {
  private static func token(_ text: String) throws -> SharedSecret {
    let bytes = Array(text.utf8)
    return SharedSecret(try SecretBytes(copying: bytes.span.bytes))
  }

  private struct Refused: Error {}

  private final class Counter: Sendable {
    let count = Mutex(0)
    func add() { count.withLock { $0 += 1 } }
  }

  @Test("is asked for once, however many wait for it")
  func once() async throws {
    let session = AdminSession()
    let grants = Counter()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<100 {
        group.addTask {
          _ = try await session.token {
            grants.add()
            try await Task.sleep(for: .milliseconds(20))
            return try Self.token("a")
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(grants.count.withLock { $0 } == 1)
  }

  @Test("is asked for again only after the one in use was refused")
  func renewed() async throws {
    let session = AdminSession()
    let first = try await session.token { try Self.token("a") }
    await session.end(first)
    let second = try await session.token { try Self.token("b") }
    // Somebody who still held the first one is late: the second stays.
    await session.end(first)
    let third = try await session.token { try Self.token("c") }
    let isKept = third.secret.isEqual(to: second.secret)
    #expect(isKept)
  }

  @Test("is asked for again by the next caller if a request for it fails")
  func refused() async throws {
    let session = AdminSession()
    await #expect(throws: Refused.self) { try await session.token { throw Refused() } }
    _ = try await session.token { try Self.token("a") }
  }
}
