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
    /// 401 and `INVALID_SESSION_ID`, without acting: the access token has ended.
    case sessionEnded
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

    /// Whether the org acts on the request even though its answer is spoilt.
    package var acts: Bool {
      switch self {
      case .dropBefore, .tooManyRequests, .sessionEnded, .serverError, .unavailable, .maintenancePage: false
      case .dropAfter, .truncated, .slow, .garbage, .htmlPage, .wrongTypes, .huge, .empty: true
      }
    }
  }

  package var kind: Kind
  /// Nil matches every method.
  package var method: String?
  /// A path; `*` stands for any run of characters.
  package var path: String
  /// How many matching requests to let through before the first one that fails: 1 hits the second.
  package var skip: Int
  /// How many requests to hit; nil hits every one.
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

  private enum CodingKeys: String, CodingKey {
    case kind, method, path, skip, count, acts, seconds, bytes
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

  /// Writes out a nil `count`, because leaving it out means 1.
  package func encode(to encoder: any Encoder) throws {
    var members = encoder.container(keyedBy: CodingKeys.self)
    try members.encode(kind, forKey: .kind)
    try members.encodeIfPresent(method, forKey: .method)
    try members.encode(path, forKey: .path)
    try members.encode(skip, forKey: .skip)
    try members.encode(count, forKey: .count)
    try members.encodeIfPresent(acts, forKey: .acts)
    try members.encode(seconds, forKey: .seconds)
    try members.encode(bytes, forKey: .bytes)
  }

  package var actsFirst: Bool { acts ?? kind.acts }
}
