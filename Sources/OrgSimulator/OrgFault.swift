/// One way for a request to go wrong, aimed at requests by method, path and order.
package struct OrgFault: Codable, Sendable, Equatable {
  package enum Kind: String, Codable, Sendable, CaseIterable {
    /// The connection closes before the org has done anything.
    case dropBefore
    /// The org acts; the connection closes before the first byte of the answer.
    case dropAfter
    /// The org acts; the answer promises more bytes than it sends, and the connection closes.
    case truncated
    /// The org acts; the answer comes `seconds` later.
    case slow
    /// 429 with Retry-After `seconds`, without acting.
    case tooManyRequests
    /// 500 and a JSON error, without acting.
    case serverError
    /// 503 and a JSON error, without acting.
    case unavailable
    /// 503 and an HTML page, without acting.
    case maintenancePage
    /// The org acts; 200 and bytes that are no JSON.
    case garbage
    /// The org acts; 200 and an HTML page.
    case htmlPage
    /// The org acts; 200 and JSON with a number or a list where text belongs.
    case wrongTypes
    /// The org acts; 200 and `bytes` of endless JSON text.
    case huge
    /// The org acts; 200 and no body.
    case empty

    /// Whether the org carries the request out although the answer is spoilt.
    package var acts: Bool {
      switch self {
      case .dropBefore, .tooManyRequests, .serverError, .unavailable, .maintenancePage: false
      case .dropAfter, .truncated, .slow, .garbage, .htmlPage, .wrongTypes, .huge, .empty: true
      }
    }
  }

  package var kind: Kind
  /// Nil matches every method.
  package var method: String?
  /// A path; `*` stands for any run of characters.
  package var path: String
  /// Matching requests let through before the first one that fails: 1 hits the second.
  package var skip: Int
  /// Requests to hit; nil hits every one.
  package var count: Int?
  /// Overrides whether the org acts before the fault: a 500 after the act, garbage without it.
  package var acts: Bool?
  /// The delay of `slow`, the Retry-After of `tooManyRequests`.
  package var seconds: Double
  /// The size of `huge`.
  package var bytes: Int

  package init(
    _ kind: Kind, method: String? = nil, path: String = "*", skip: Int = 0, count: Int? = 1, acts: Bool? = nil,
    seconds: Double = 1, bytes: Int = 32 << 20
  ) {
    self.kind = kind
    self.method = method
    self.path = path
    self.skip = skip
    self.count = count
    self.acts = acts
    self.seconds = seconds
    self.bytes = bytes
  }

  /// Everything but `kind` may be left out; a `count` of null hits every request.
  package init(from decoder: any Decoder) throws {
    let members = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      try members.decode(Kind.self, forKey: .kind),
      method: try members.decodeIfPresent(String.self, forKey: .method),
      path: try members.decodeIfPresent(String.self, forKey: .path) ?? "*",
      skip: try members.decodeIfPresent(Int.self, forKey: .skip) ?? 0,
      count: members.contains(.count) ? try members.decodeIfPresent(Int.self, forKey: .count) : 1,
      acts: try members.decodeIfPresent(Bool.self, forKey: .acts),
      seconds: try members.decodeIfPresent(Double.self, forKey: .seconds) ?? 1,
      bytes: try members.decodeIfPresent(Int.self, forKey: .bytes) ?? 32 << 20)
  }

  package var actsFirst: Bool { acts ?? kind.acts }
}

/// A fault with what is left of its order.
struct ArmedFault {
  let fault: OrgFault
  private var toSkip: Int
  private var left: Int?

  init(_ fault: OrgFault) {
    self.fault = fault
    toSkip = fault.skip
    left = fault.count
  }

  /// Whether this request is to fail. Every matching request counts, also those let through.
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
