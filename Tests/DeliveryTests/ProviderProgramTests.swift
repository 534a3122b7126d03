import Foundation
import Rotation
import Sodium
import Testing
import Vault

@testable import Delivery

@Suite("A program that speaks for a provider")
struct ProviderProgramTests {
  private func run(
    _ program: [String], input: String = "", masking: [Pair] = [], time: HookRunnerTests.Time = .init()
  ) async throws -> ProgramEnding {
    try await HookRunner(environment: ["PATH": "/usr/bin:/bin"], mask: 0o077, sleep: time.sleep).run(
      ProgramCall(program, input: SharedSecret(secret(input)), limit: .seconds(20), masking: masking))
  }

  @Test func `gets its request on standard input, and its answer is its standard output alone`() async throws {
    let folder = try Folder()
    let script = try folder.script(
      """
      cd "${0%/*}"; cat; echo 'said aside' >&2; env > environment; tr '\\0' '\\n' < /proc/$$/cmdline > arguments
      """)
    let ending = try await run([script, "a b"], input: #"{"client_secret":"hunter2"}"#)
    #expect(ending.cause == .exit(0))
    #expect(text(ending.output.secret) == #"{"client_secret":"hunter2"}"#)
    #expect(ending.said == "said aside")
    #expect(try folder.text("arguments").hasSuffix("\na b\n"))
    let told = try folder.text("arguments") + folder.text("environment")
    #expect(!told.contains("hunter2"))
  }

  @Test func `what it says has the pairs masked that it was given`() async throws {
    let folder = try Folder()
    let script = try folder.script("cat >&2; exit 1")
    let given = try pair()
    let ending = try await run([script], input: "it is s3cr3t/of+a client\"with%all.", masking: [given])
    #expect(ending.cause == .exit(1))
    #expect(ending.said == "it is [masked].")
    #expect(ending.output.secret.count == 0)
  }

  @Test(arguments: [0, 1, 69, 75, 77, 78, 255]) func `its exit code is told`(_ code: Int) async throws {
    let folder = try Folder()
    let script = try folder.script("exit \(code)")
    #expect(try await run([script]).cause == .exit(code))
  }

  @Test func `a signal that ended it is told`() async throws {
    let folder = try Folder()
    let script = try folder.script("kill -9 $$")
    #expect(try await run([script]).cause == .signal(9))
  }

  @Test func `an answer of the greatest size is read whole, in pieces of any size`() async throws {
    let folder = try Folder()
    let script = try folder.script(
      """
      i=0; while [ $i -lt 40 ]; do printf %s x; i=$((i + 1)); done
      head -c \(ProgramCall.maximumOutputSize - 40) /dev/zero | tr '\\0' x
      """)
    let ending = try await run([script])
    #expect(ending.cause == .exit(0))
    #expect(text(ending.output.secret) == String(repeating: "x", count: ProgramCall.maximumOutputSize))
  }

  @Test func `one that answers more is ended, and nothing of its answer is read`() async throws {
    let folder = try Folder()
    let script = try folder.script("yes; sleep 1000")
    let ending = try await run([script])
    #expect(ending.cause == .tooLong)
    #expect(ending.output.secret.count == 0)
  }

  @Test func `one that takes too long is ended, though it goes on talking aside`() async throws {
    let folder = try Folder()
    let script = try folder.script("echo > \(folder.path)/begun; while :; do echo x >&2; done")
    var time = HookRunnerTests.Time()
    time.limit = { access(folder.path + "/begun", F_OK) == 0 }
    #expect(try await run([script], time: time).cause == .timeLimit)
  }

  @Test func `one that everybody may write to, or that is none, is not started`() async throws {
    let folder = try Folder()
    try folder.write("open", "#!/bin/sh\necho > \(folder.path)/ran\n", mode: 0o777)
    try folder.write("plain", "#!/bin/sh\necho > \(folder.path)/ran\n", mode: 0o644)
    for name in ["open", "plain", "absent"] {
      let found = await #expect(throws: ProviderError.self) { _ = try await run(["\(folder.path)/\(name)"]) }
      #expect(found?.code == .configuration && found?.mayHaveActed == false)
    }
    #expect(try !folder.names().contains("ran"))
  }
}
