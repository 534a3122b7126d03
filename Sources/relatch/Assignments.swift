import Vault

/// `key=value` arguments.
enum Assignments {
  /// Throws a usage failure for an argument that is not `key=value`, and for a key that is given twice.
  static func parse(_ arguments: [String], option: String) throws -> [String: String] {
    var values: [String: String] = [:]
    for argument in arguments {
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else {
        throw Failure(
          .usage, "\(option) \(Name.printable(argument)): expected KEY=VALUE",
          hint: "write it as in \(option.hasSuffix("policy") ? "grace=24h" : "url=https://example.com")")
      }
      guard values.updateValue(String(parts[1]), forKey: String(parts[0])) == nil else {
        throw Failure(
          .usage, "\(option) \(Name.printable(String(parts[0]))) is given twice", hint: "give each key once")
      }
    }
    return values
  }
}
