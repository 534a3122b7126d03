import Glibc

/// One parser, or several for the same bytes, and what must be true of everything they accept.
struct FuzzTarget: Sendable {
  let name: String
  /// Inputs to begin with, besides those of `vault/vectors` and `Seeds`.
  let seeds: @Sendable () throws -> [[UInt8]]
  /// Returns or throws; an input that stops the process is a finding.
  let run: @Sendable ([UInt8]) throws -> Void

  init(
    _ name: String, seeds: @escaping @Sendable () throws -> [[UInt8]] = { [] },
    _ run: @escaping @Sendable ([UInt8]) throws -> Void
  ) {
    self.name = name
    self.seeds = seeds
    self.run = run
  }
}

private let all: [FuzzTarget] =
  ageTargets + jsonTargets + auditTargets + vaultTargets + rotationTargets + providerTargets + commandTargets
  + deliveryTargets

private let chosen: FuzzTarget = {
  let name = environment("RELATCH_FUZZ_TARGET") ?? ""
  guard let target = all.first(where: { $0.name == name }) else {
    // Not a finding: the run was started wrongly.
    let names = all.map(\.name).joined(separator: ", ")
    let message = Array("fuzz: RELATCH_FUZZ_TARGET is \"\(name)\", expected one of \(names)\n".utf8)
    _ = message.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    exit(64)
  }
  return target
}()

private func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// Stops the process, which libFuzzer treats as a finding, unless `condition` holds.
func require(_ condition: Bool, _ what: @autoclosure () -> String) {
  if !condition { fatalError("finding: \(what())") }
}

/// The result of `body` for fixed arguments, with which it cannot fail.
func made<Value>(_ body: () throws -> Value) -> Value {
  do { return try body() } catch { fatalError("\(error)") }
}

/// `RELATCH_FUZZ_LIST` prints the targets' names, `RELATCH_FUZZ_SEEDS` writes the seeds of the chosen one to a folder.
@c(LLVMFuzzerInitialize)
public func initialize(
  _ count: UnsafeMutablePointer<CInt>?, _ arguments: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> CInt {
  if environment("RELATCH_FUZZ_LIST") != nil {
    for target in all { print(target.name) }
    exit(0)
  }
  if let folder = environment("RELATCH_FUZZ_SEEDS") {
    for (index, seed) in made(chosen.seeds).enumerated() { write(seed, to: "\(folder)/made-\(index)") }
    exit(0)
  }
  return 0
}

/// What libFuzzer calls with each input.
@c(LLVMFuzzerTestOneInput)
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  // A copy of exactly its size, so that AddressSanitizer sees a read beyond it.
  try? chosen.run(Array(UnsafeBufferPointer(start: start, count: count)))
  return 0
}

/// Writes a file that is not secret.
func write(_ bytes: [UInt8], to path: String) {
  let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
  require(descriptor >= 0 && Glibc.write(descriptor, bytes, bytes.count) == bytes.count, "cannot write \(path)")
  close(descriptor)
}
