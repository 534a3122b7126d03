/// A fault, and how many more requests it lets through and strikes.
struct ArmedFault {
  let fault: OrgFault
  private var toSkip: Int
  private var left: Int?

  init(_ fault: OrgFault) {
    self.fault = fault
    toSkip = fault.skip
    left = fault.count
  }

  /// Whether this request is to fail. Every matching request counts, including those let through.
  mutating func strikes(method: String, path: String) -> Bool {
    guard left != 0, fault.method.map({ $0.uppercased() == method }) ?? true,
      Self.matches(Substring(path), pattern: Substring(fault.path))
    else { return false }
    guard toSkip == 0 else {
      toSkip -= 1
      return false
    }
    left = left.map { $0 - 1 }
    return true
  }

  private static func matches(_ text: Substring, pattern: Substring) -> Bool {
    guard let star = pattern.firstIndex(of: "*") else { return text == pattern }
    let head = pattern[..<star]
    guard text.hasPrefix(head) else { return false }
    let rest = pattern[pattern.index(after: star)...]
    if rest.isEmpty { return true }
    var tail = text.dropFirst(head.count)
    while true {
      if matches(tail, pattern: rest) { return true }
      guard !tail.isEmpty else { return false }
      tail = tail.dropFirst()
    }
  }
}
