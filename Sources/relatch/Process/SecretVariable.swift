import Glibc
import Sodium

/// A variable of another program's environment whose value is a secret. It stays in guarded memory here, and the kernel copies it
/// from there.
struct SecretVariable: Sendable {
  let name: String
  /// `name=value` and a zero.
  private let assignment: SharedSecret

  /// `value` has no zero byte, as no part of a pair has.
  init(_ name: String, _ value: borrowing SecretBytes) throws {
    self.name = name
    let beginning = Array("\(name)=".utf8)
    assignment = SharedSecret(
      try SecretBytes(capacity: beginning.count + value.count + 1) { output in
        for byte in beginning { output.append(byte) }
        value.withUnsafeBytes { for byte in $0 { output.append(byte) } }
        output.append(UInt8(0))
      })
  }

  /// Calls `body` with this process's environment, in which `variables` stand in the place of what had their names.
  static func withEnvironment<Result>(
    _ variables: [SecretVariable], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
  ) -> Result {
    var pointers: [UnsafeMutablePointer<CChar>?] = []
    var next = environ
    while let entry = next.pointee {
      if !variables.contains(where: { $0.isNamed(by: entry) }) { pointers.append(entry) }
      next += 1
    }
    for variable in variables {
      // Nobody writes through it: execve(2) wants it so.
      pointers.append(
        variable.assignment.secret.withUnsafeBytes { bytes in
          UnsafeMutableRawPointer(mutating: bytes.baseAddress)?.assumingMemoryBound(to: CChar.self)
        })
    }
    return withExtendedLifetime(variables) { withUnsafePointers(pointers + [nil], body) }
  }

  private func isNamed(by entry: UnsafePointer<CChar>) -> Bool {
    let prefix = "\(name)="
    return strncmp(entry, prefix, prefix.utf8.count) == 0
  }
}

/// Calls `body` with the address of `pointers`, of which there must be one at least.
func withUnsafePointers<Result>(
  _ pointers: [UnsafeMutablePointer<CChar>?], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  // An array handed over like this is never null.
  func call(_ address: UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result { body(address) }
  return call(pointers)
}

/// What the variables of a pair are called.
struct VariableNames {
  let clientID: String
  let clientSecret: String

  init(prefix: String) {
    clientID = prefix + "_CLIENT_ID"
    clientSecret = prefix + "_CLIENT_SECRET"
  }

  /// Fails unless both are names that a shell takes.
  init(clientID: String, clientSecret: String) throws {
    for name in [clientID, clientSecret] {
      let isName = name.utf8.allSatisfy {
        (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == UInt8(ascii: "_")
      }
      guard isName, (1...128).contains(name.utf8.count), let first = name.utf8.first, !(48...57).contains(first) else {
        throw Failure(
          .usage, "a variable's name: expected up to 128 of A-Z a-z 0-9 _, not beginning with a digit",
          hint: "write it as in CRM_CLIENT_SECRET")
      }
    }
    guard clientID != clientSecret else {
      throw Failure(.usage, "both variables have one name", hint: "name two")
    }
    self.clientID = clientID
    self.clientSecret = clientSecret
  }

  /// `crm/prod` as `CRM_PROD`: what the variables of a credential begin with if nothing else is said.
  static func prefix(of credential: String) -> String {
    let letters = credential.uppercased().unicodeScalars.map { scalar in
      scalar.isASCII && (scalar.properties.isAlphabetic || (48...57).contains(scalar.value)) ? Character(scalar) : "_"
    }
    return (letters.first?.isNumber == true ? "_" : "") + String(letters.prefix(63))
  }
}
