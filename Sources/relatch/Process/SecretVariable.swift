import Glibc
import Sodium

/// A variable for another program's environment whose value is a secret. It stays in guarded memory in this process,
/// and the kernel copies it from there.
struct SecretVariable: Sendable {
  let name: String
  /// `name=value` and a zero byte.
  private let assignment: SharedSecret

  /// `value` must have no zero byte; no part of a pair has one.
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

  /// Calls `body` with this process's environment, with `variables` in place of any variables of the same names.
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
      // execve(2) wants a mutable pointer, but nobody writes through it.
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

/// Calls `body` with the address of `pointers`, which must not be empty.
func withUnsafePointers<Result>(
  _ pointers: [UnsafeMutablePointer<CChar>?], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  // The pointer of an array that is passed like this is never null.
  func call(_ address: UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result { body(address) }
  return call(pointers)
}

/// The names of a pair's two variables.
struct VariableNames {
  let clientID: String
  let clientSecret: String

  init(prefix: String) {
    clientID = prefix + "_CLIENT_ID"
    clientSecret = prefix + "_CLIENT_SECRET"
  }

  /// Fails unless a shell accepts both as names.
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
      throw Failure(.usage, "both variables have the same name", hint: "give them different names")
    }
    self.clientID = clientID
    self.clientSecret = clientSecret
  }

  /// `crm/prod` as `CRM_PROD`: the default prefix of a credential's variables.
  static func prefix(of credential: String) -> String {
    let letters = credential.uppercased().unicodeScalars.map { scalar in
      scalar.isASCII && (scalar.properties.isAlphabetic || (48...57).contains(scalar.value)) ? Character(scalar) : "_"
    }
    return (letters.first?.isNumber == true ? "_" : "") + String(letters.prefix(63))
  }
}
