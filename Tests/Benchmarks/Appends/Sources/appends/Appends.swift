import Age
import Audit
import Glibc
import JSON
import Sodium
import Storage
import StorageSQLite
import Vault

/// Appends entries to the log of a new vault from many tasks at once. Each entry is durable and covered by a signed
/// checkpoint before its task appends the next: `appends DATABASE TASKS ENTRIES TIME`, with ENTRIES for each task. Wall
/// and processor time in nanoseconds go to TIME; they exclude making the vault.
@main struct Appends {
  static func main() async throws {
    let words = CommandLine.arguments
    guard words.count == 5, let tasks = Int(words[2]), let entries = Int(words[3]) else { exit(64) }
    let identity = try Identity(AgeIdentity(generating: .system))
    let begin = time()
    let (header, keyFile) = try VaultCreation.prepare(for: identity.age.recipient, now: begin, randomness: .system)
    try SQLiteStore.create(at: words[1], tables: vaultTables)
    let store = try SQLiteStore(opening: words[1], tables: vaultTables)
    try await VaultCreation.create(header, in: store, owner: identity, named: "alice", now: begin)
    let vault = try await UnlockedVault(store, identity: identity, keyFile: { _ in keyFile }, randomness: .system)

    let (start, started) = (nanoseconds(CLOCK_MONOTONIC), nanoseconds(CLOCK_PROCESS_CPUTIME_ID))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<tasks {
        group.addTask {
          for number in 0..<entries {
            _ = try await vault.change(now: time()) { change in
              // As large as the entries of a rotation.
              try change.log(
                EventName("benchmark.appended"), about: "crm",
                [
                  "record": "YkERKJA8lGfUeo6xsOp4fEmm0b9ev74g0NOagEQL7oA=", "rotation": .integer(task),
                  "step": .integer(number),
                ])
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let (end, ended) = (nanoseconds(CLOCK_MONOTONIC), nanoseconds(CLOCK_PROCESS_CPUTIME_ID))

    let found = try await store.read { try VaultView($0).logSize }
    guard found == UInt64(tasks * entries) + 1 else { exit(70) }
    guard let file = fopen(words[4], "w") else { exit(73) }
    fputs("\(end - start) \(ended - started)\n", file)
    exit(fclose(file) == 0 ? 0 : 74)
  }

  private static func nanoseconds(_ clock: clockid_t) -> Int {
    var now = timespec()
    clock_gettime(clock, &now)
    return now.tv_sec * 1_000_000_000 + now.tv_nsec
  }

  private static func time() -> Timestamp { Timestamp(milliseconds: Int64(nanoseconds(CLOCK_REALTIME) / 1_000_000)) }
}
