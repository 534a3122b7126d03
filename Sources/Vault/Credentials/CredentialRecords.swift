/// Credentials that were looked for, and those that cannot be read: a damaged one hides no other.
package struct CredentialRecords: Sendable {
  package internal(set) var credentials: [Credential] = []
  /// What cannot be read, by the name that it is stored under, and why.
  package private(set) var failures: [(credential: String, error: any Error)] = []
  /// Where the next page begins; nil if nothing is left.
  package internal(set) var next: [UInt8]?

  mutating func add(_ name: String, _ read: () throws -> Credential) {
    do { credentials.append(try read()) } catch { failures.append((name, error)) }
  }
}
