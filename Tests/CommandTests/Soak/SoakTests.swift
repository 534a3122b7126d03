import Foundation
import Testing

/// Three lanes of random commands, a credential that two teams hand to and fro, two credentials in one place, and
/// faults at the org, while processes are killed, stopped and continued. The other tests cut one thing short at every
/// point; this one finds what happens only between several.
///
/// `RELATCH_SOAK_SECONDS` says how long, and `RELATCH_SOAK_SEED` what is chosen: always the same for a seed, at moments
/// that differ.
@Suite("Everything at once, at random", .serialized, .enabled(if: Programs.python != nil, "python3 is not installed"))
struct SoakTests {
  @Test("breaks no promise, and agrees with the org once it is left alone")
  func soak() async throws {
    let variables = ProcessInfo.processInfo.environment
    let seed = variables["RELATCH_SOAK_SEED"].flatMap { UInt64($0) } ?? 1
    let seconds = variables["RELATCH_SOAK_SECONDS"].flatMap { Int($0) } ?? 8
    print("soak: RELATCH_SOAK_SEED=\(seed) RELATCH_SOAK_SECONDS=\(seconds)")
    let soak = try await Soak(seed: seed)
    try await soak.run(for: .seconds(seconds))
    try await soak.settle()
    try await soak.compare()
    print("commands, and what they ended with:\n\(soak.record.summary)")
  }
}
