import Age
import Foundation
import Sodium
import StorageSQLite
import Testing

@testable import Vault

/// Runs commands at one workplace and looks at them from outside, at every moment at which they can be stopped.
final class MemoryWatch {
  /// What was seen of one run.
  struct Seen {
    /// How many moments were inspected.
    var moments = 0
    /// The secrets found in guarded pages at one moment at least.
    var inGuardedPages: Set<String> = []
    /// The secrets found in libcurl's memory while a request was sent or an answer received.
    var inTransit: Set<String> = []
  }

  /// The calls at which memory changes hands, including every way into and out of the process.
  private static let calls = "read,write,sendto,recvfrom,fdatasync,fsync"

  let place: Workplace
  private var secrets: [String: Data] = [:]
  private var pairs: [SimulatedOrg.IssuedPair] = []
  private var tokens: [String] = []
  private var search = MemorySearch(SecretSearch([:]))

  init(_ simulatorArguments: [String] = []) async throws {
    place = try await Workplace(simulatorArguments)
    secrets = try Self.keys(of: place.identity.path, opening: place.vault.path)
    try await learnPairs()
  }

  func canTrace() async throws -> Bool {
    let probe = try await place.run(Programs.strace ?? "", ["-f", "-o", "/dev/null", "/bin/true"])
    if probe.code != 0 { print("skipped: processes cannot be traced here: \(probe.errorText)") }
    return probe.code == 0
  }

  // MARK: - What to look for

  func add(_ name: String, _ secret: Data) {
    secrets[name] = secret
    search = MemorySearch(SecretSearch(secrets))
  }

  /// What the identity in the file `identity` is and opens: its text, its scalar, its signing seed, the key of `vault`.
  static func keys(of identity: String, opening vault: String?) throws -> [String: Data] {
    let file = try PrivateFile.read(identity)
    let age = try #require(AgeIdentityFile(decoding: file.bytes).identities.first)
    // Without the letters with which each identity begins.
    let text = try age.encoded()
    let scalar = age.withScalar { $0.withUnsafeBytes { Data($0) } }
    let seed = try HKDFSHA256.derive(inputKey: Array(scalar).span.bytes, salt: [], info: "relatch/v1/signing-key")
    var keys = [
      "identity": Data(data(text).dropFirst("AGE-SECRET-KEY-1".utf8.count)), "identity's scalar": scalar,
      "signing seed": data(seed),
    ]
    for name in try vault.map({ try FileManager.default.contentsOfDirectory(atPath: $0 + "/keys") }) ?? [] {
      let file = try PrivateFile.read("\(vault ?? "")/keys/\(name)")
      let key = try AgeFile.open(file.bytes, with: [age])
      keys["vault key"] = data(key)
    }
    return keys
  }

  /// Learns the keys of the credentials that exist.
  private func learnCredentialKeys() async throws {
    guard let file = try? PrivateFile.read(place.identity.path), secrets["passphrase"] == nil else { return }
    let identity = try Identity(#require(AgeIdentityFile(decoding: file.bytes).identities.first))
    let keys = place.vault.path + "/keys/"
    let vault = try await UnlockedVault(
      SQLiteStore(opening: place.vault.path + "/vault.db", tables: vaultTables), identity: identity,
      keyFile: { header in Array(try Data(contentsOf: URL(fileURLWithPath: keys + header.keyID + ".age"))) },
      randomness: .system)
    for credential in try await vault.read({ try $0.credentials() }) {
      let (key, _) = try await vault.credentialKey(of: credential.name)
      add("key of \(credential.name)", key.secret.withUnsafeBytes { Data($0) })
    }
  }

  /// Learns the pairs that the org has now, in the order in which they became known.
  private func learnPairs() async throws {
    for pair in try await place.org.orderedPairs() where !pairs.contains(pair) {
      secrets["client_id \(pairs.count)"] = Data(pair.key.utf8)
      add("client_secret \(pairs.count)", Data(pair.secret.utf8))
      pairs.append(pair)
    }
  }

  /// Learns the access tokens in answers, as strace prints them, without the org's number, which is not secret.
  private func learnTokens(_ lines: some Sequence<String>) {
    for line in lines where line.contains("access_token") {
      guard let match = line.firstMatch(of: #/access_token\\":\\"[^!\\]*!([^"\\]+)\\"/#) else { continue }
      let token = String(match.1)
      guard !tokens.contains(token) else { continue }
      add("token \(tokens.count)", Data(token.utf8))
      tokens.append(token)
    }
  }

  private static func data(_ secret: borrowing SecretBytes) -> Data { secret.withUnsafeBytes { Data($0) } }

  // MARK: - Looking

  /// Runs `relatch` and inspects it at each moment. It is killed as it exits.
  func run(_ arguments: String..., stdin: String? = nil, descriptor3: URL? = nil) async throws -> Seen {
    try await learnCredentialKeys()
    let command = "relatch \(arguments.joined(separator: " "))"
    let shell = descriptor3.map { ["-c", #"exec 3<"$0"; exec "$@""#, $0.path, Programs.relatch] }
    let process = try SteppedProcess(
      in: place, shell == nil ? Programs.relatch : "/bin/sh", (shell ?? []) + arguments, calls: Self.calls,
      stdin: stdin, environment: ["TMPDIR": place.folder.path + "/tmp"])
    try? FileManager.default.createDirectory(atPath: place.folder.path + "/tmp", withIntermediateDirectories: true)
    var seen = Seen()
    var lines = 0
    var isUnlocked = false
    var isEnded = false
    while let stop = try await process.next() {
      learnTokens(process.lines[lines...])
      lines = process.lines.count
      if stop.calls.contains(where: { $0.text.hasPrefix("recvfrom(") }) { try await learnPairs() }
      let pid = try #require(process.pid)
      // Nothing is in its memory before the identity's file is read.
      isUnlocked =
        isUnlocked || stop.calls.contains { $0.text.contains("AGE") || $0.text.contains("age-encryption.org") }
      try look(at: pid, stop, isUnlocked, command, &seen)
      if stop.isExit {
        isEnded = true
        #expect(stop.calls.first?.text == "exit_group(0x0)", "\(command): \(process.saidText())")
        break
      }
    }
    try await process.end()
    #expect(isEnded, "\(command): \(process.saidText())")
    #expect(isUnlocked && seen.moments > 20)
    // For a command that prints the pair, output is where it belongs.
    if arguments.first != "read" { #expect(search.findings(in: try process.said().output) == []) }
    #expect(search.findings(in: try process.said().errors) == [])
    try expectNoRemains(command)
    print("\(command): looked at \(seen.moments) moments; in transit: \(seen.inTransit.sorted())")
    return seen
  }

  private func look(
    at pid: Int32, _ stop: SteppedProcess.Stop, _ isUnlocked: Bool, _ command: String, _ seen: inout Seen
  ) throws {
    let moment = "\(command), after \(stop.calls.map { String($0.text.prefix(40)) })"
    let hits = try ProcessMemory(of: pid).hits(of: search)
    seen.moments += 1
    if !isUnlocked || stop.isExit { #expect(hits == [], "\(moment)") }
    for hit in hits {
      if hit.place == .guarded {
        seen.inGuardedPages.insert(hit.secret)
      } else {
        let isInTransit = hit.place == .heap && hit.isOfPairOrToken && stop.isOfTransport(in: pid)
        #expect(isInTransit, "\(moment): \(hit)")
        seen.inTransit.insert(hit.secret)
      }
    }
    for file in try openFiles(of: pid) { #expect(isExpected(file), "\(moment): \(file) is open") }
    if stop.calls.contains(where: { $0.text.hasPrefix("fdatasync(") }) { try expectNoRemains(moment) }
    for name in ["cmdline", "environ"] {
      #expect(search.findings(in: try procFile("/proc/\(pid)/\(name)")) == [], "\(moment): \(name)")
    }
  }

  /// No secret is in the vault's files (including the store's log), in what is remembered of the vault, or anywhere
  /// that temporary files go.
  private func expectNoRemains(_ moment: String) throws {
    let folders = [place.vault.path, place.folder.path + "/.local", place.folder.path + "/tmp"]
    for folder in folders {
      #expect(try search.findings(below: URL(fileURLWithPath: folder)) == [], "\(moment)")
    }
  }

  /// The vault's files, the identity, the standard streams, and what the system has for every program; never a
  /// temporary file, nor one that was removed.
  private func isExpected(_ file: String) -> Bool {
    // A socket, a pipe and the like.
    guard file.hasPrefix("/") else { return true }
    let own = place.folder.path
    // `identity protect` holds it open to overwrite it.
    if file == place.identity.path + " (deleted)" { return true }
    if file.hasSuffix(" (deleted)") || file.hasPrefix(own + "/tmp") { return false }
    // SQLite reads `/dev/urandom` when it starts its log over.
    return file == own || file.hasPrefix(own + "/") || file.contains(".so") || file == Programs.relatch
      || ["/dev/null", "/dev/urandom", "/etc/", "/proc/", "/sys/", "/usr/"].contains { file.hasPrefix($0) }
  }
}

extension ProcessMemory.Hit {
  fileprivate var isOfPairOrToken: Bool { secret.hasPrefix("client_") || secret.hasPrefix("token ") }
}

extension SteppedProcess.Stop {
  /// Whether it was stopped in libcurl's thread, or while that thread was given a request.
  fileprivate func isOfTransport(in pid: Int32) -> Bool {
    calls.contains { call in
      let name = (try? procFile("/proc/\(pid)/task/\(call.thread)/comm")) ?? Data()
      return name == Data("relatch-http\n".utf8)
        || call.text.contains(#"write("#) && call.text.contains(#""\1\0\0\0\0\0\0\0""#)
    }
  }
}

extension SteppedProcess {
  fileprivate func saidText() -> String {
    (try? said()).map { String(decoding: $0.errors + $0.output, as: UTF8.self) } ?? ""
  }
}

/// The files that a process's descriptors lead to.
func openFiles(of pid: Int32) throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").compactMap {
    try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\($0)")
  }
}
