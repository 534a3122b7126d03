import Foundation
import Glibc
import Sodium
import Testing
import Transport

/// What is left of a secret in this process's memory after it was sent, received and released.
@Suite(.enabled(if: Program.nginx != nil && Program.openssl != nil, "needs the nginx and openssl programs"))
struct ResidueTests {
  @Test func `a secret sent and received leaves nothing after shutdown`() async {
    await #expect(processExitsWith: .success) { try await expectNoResidue() }
  }
}

/// HTTP/2 would leave some: nghttp2 frees what it copied without wiping it, and has no hook for that.
private func expectNoResidue() async throws {
  let nginx = try await NginxServer()
  let needle = Needle()
  // The scan finds a secret that is there: otherwise finding none would prove nothing.
  do {
    let held = SharedSecret(try needle.secret())
    #expect(try needle.copies() > 0)
    withExtendedLifetime(held) {}
  }
  #expect(try needle.copies() == 0)
  let transport = CurlTransport(TransportConfiguration(caFile: nginx.bench.authority))
  for _ in 1...3 { try await exchange(transport, nginx.origin, needle) }
  // A transport with connections of its own keeps them after the others have ended.
  let steady = SteadyTransport(transport)
  for needsNew in [true, false, true] { try await exchange(steady, nginx.origin, needle, needsNew: needsNew) }
  await transport.shutdown()
  #expect(try needle.copies() == 0)
  withExtendedLifetime(steady) {}
  // nginx would have accepted HTTP/2.
  #expect(try nginx.log("/ ").allSatisfy { $0.hasPrefix("HTTP/1.1 POST ") })
}

/// Sends the needle in a header and in a body, and gets it back in the answer.
private func exchange(
  _ transport: any HTTPTransport, _ origin: Endpoint, _ needle: Needle, needsNew: Bool = false
) async throws {
  let secret = SharedSecret(try needle.secret())
  var request = HTTPRequest(
    .post, origin, secretHeaders: [.init(name: "Authorization", prefix: "Bearer ", value: secret)],
    body: .secret(secret, contentType: "text/plain"))
  request.needsNewConnection = needsNew
  let response = try await transport.send(request)
  #expect(response.status == 200 && response.body.secret.count > 40)
}

/// 40 random letters, kept masked so that the search does not find itself.
private struct Needle {
  private let masked: [UInt8] = Randomness.system.bytes(40).map { (97 + $0 % 26) ^ 0x5A }

  func secret() throws -> SecretBytes {
    try SecretBytes(capacity: masked.count) { output in
      for byte in masked { output.append(byte ^ 0x5A) }
    }
  }

  /// How many writable places of this process hold the secret.
  func copies() throws -> Int {
    let size = 1 << 20
    let window = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
    let plain = UnsafeMutablePointer<UInt8>.allocate(capacity: masked.count)
    defer {
      explicit_bzero(window, size)
      explicit_bzero(plain, masked.count)
      window.deallocate()
      plain.deallocate()
    }
    for index in masked.indices { plain[index] = masked[index] ^ 0x5A }
    let memory = open("/proc/self/mem", O_RDONLY)
    defer { close(memory) }
    var found: Set<Int> = []
    let file = try #require(FileHandle(forReadingAtPath: "/proc/self/maps"))
    for line in String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self).split(separator: "\n") {
      let fields = line.split(separator: " ")
      let bounds = fields[0].split(separator: "-").compactMap { Int($0, radix: 16) }
      // Shared, and not a file's: small secrets.
      let isOurs = fields[1].hasSuffix("p") || line.hasSuffix("/dev/zero (deleted)")
      guard bounds.count == 2, fields[1].hasPrefix("r"), isOurs else { continue }
      // A sanitizer's shadow memory takes terabytes.
      guard bounds[1] - bounds[0] < 1 << 30 else { continue }
      var start = bounds[0]
      while start < bounds[1] {
        let count = pread(memory, window, min(size, bounds[1] - start), start)
        guard count > 0 else { break }
        var from = 0
        while let hit = memchr(window + from, Int32(plain[0]), count - from) {
          let offset = hit - UnsafeMutableRawPointer(window)
          if count - offset >= masked.count, memcmp(hit, plain, masked.count) == 0 { found.insert(start + offset) }
          from = offset + 1
        }
        // A copy may lie across two windows.
        start += count == size ? size - masked.count : count
      }
    }
    let own = [(window, size), (plain, masked.count)].map { Int(bitPattern: $0)..<Int(bitPattern: $0 + $1) }
    return found.filter { place in !own.contains { $0.contains(place) } }.count
  }
}
