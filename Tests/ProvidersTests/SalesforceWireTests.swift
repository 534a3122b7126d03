import Audit
import Providers
import Rotation
import Testing

@Suite("Salesforce's answers")
struct SalesforceWireTests {
  private static let app = "0xI000000000001"
  private static let consumer = "888000000000001"

  /// Looks at an org with one consumer, with `slot` as the answer about its slot.
  private func look(_ slot: RoutedTransport.Answer, one: String = "{}") async throws -> Observation {
    let transport = RoutedTransport { method, path in
      switch path {
      case _ where path.hasSuffix("/token"): RoutedTransport.token
      case Self.app: .init(body: #"{"consumers":[{"id":"\#(Self.consumer)","key":"primary"}]}"#)
      case "\(Self.app)/\(Self.consumer)/staged": slot
      default: .init(body: one)
      }
    }
    return try await provider(transport).observe(known: known("primary"))
  }

  private func set(_ key: String = "key", _ secret: String = "secret", state: String = "Active") -> String {
    #"{"id":"889000000000001","\#(key)":"new","\#(secret)":"s","state":"\#(state)","expirationDate":"2026-12-21T09:20:00Z"}"#
  }

  @Test("are read in each known shape, with any known field name and letter case")
  func shapes() async throws {
    for body in [
      #"{"stagedCredentials":[\#(set())],"url":"/x"}"#, #"[\#(set())]"#, set(), #"{"stagedcredentials":[\#(set())]}"#,
      #"{"stagedCredentials":[\#(set("consumerKey", "consumerSecret"))]}"#,
      #"{"stagedCredentials":[{"credentials":\#(set())}]}"#,
      #"{"stagedCredentials":[\#(set(state: "ACTIVE"))]}"#, #"{"stagedCredentials":[\#(set(state: "active"))]}"#,
      #"{"stagedCredentials":[\#(set("Key", "Secret"))]}"#,
    ] {
      let seen = try await look(.init(body: body))
      #expect(text(seen.primary.clientID) == "primary", "\(body)")
      let other = try #require(seen.others.first, "\(body)")
      #expect(other.place == .staged && other.handle == "889000000000001", "\(body)")
      #expect(text(other.clientID) == "new" && text(other.clientSecret) == "s", "\(body)")
      #expect(other.expires?.description == "2026-12-21T09:20:00.000Z")
    }
    for (state, place) in [("Rotated", ObservedPair.Place.replaced), ("EXPIRED", .expired)] {
      #expect(try await look(.init(body: "[\(set(state: state))]")).others.first?.place == place)
    }
  }

  @Test("mean an empty slot only if they are an empty list or the org's own 404")
  func empty() async throws {
    for answer in [
      RoutedTransport.Answer(body: #"{"stagedCredentials":[]}"#), .init(body: "[]"),
      .init(status: 404, body: #"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#),
    ] {
      #expect(try await look(answer).others.isEmpty)
    }
    for answer in [
      RoutedTransport.Answer(body: ""), .init(body: "{}"), .init(body: "null"), .init(body: "7"),
      .init(body: #"{"stagedCredentials":"none"}"#), .init(body: #"{"stagedCredentials":null}"#),
      .init(body: #"{"stagedCredentials":[7]}"#), .init(body: #"{"stagedCredentials":[{}]}"#),
      .init(body: #"{"stagedCredentials":[{"key":"new"}]}"#), .init(body: #"{"other":[]}"#),
      .init(body: "<html>Login</html>"), .init(body: #"{"stagedCredentials":[]"#),
      .init(status: 404, body: "<html>not here</html>"), .init(status: 404), .init(status: 410),
      .init(body: #"{"stagedCredentials":[\#(set(state: "Frozen"))]}"#),
      .init(body: #"{"stagedCredentials":[{"id":"../x","key":"new","secret":"s","state":"Active"}]}"#),
    ] {
      let error = await failure { _ = try await look(answer) }
      #expect(error?.code == .malformed, "\(answer.status) \(answer.body): \(String(describing: error))")
    }
  }

  @Test("that leave out a secret are completed by asking for that set")
  func hiddenSecret() async throws {
    let bare = #"{"stagedCredentials":[{"id":"889000000000001","key":"new","state":"Active"}]}"#
    for one in [set(), "[\(set())]", #"{"stagedCredentials":\#(set())}"#] {
      #expect(try await text(look(.init(body: bare), one: one).others.first?.clientSecret) == "s")
    }
    #expect(try await look(.init(body: bare), one: #"{"id":"889000000000001"}"#).others.first?.clientSecret == nil)
  }

  @Test("to a request to stage may list other sets, of which none is the one that was made")
  func stagedAmongOthers() async throws {
    let old = set(state: "Rotated").replacing("new", with: "old")
    let seen = try await look(.init(body: "[\(old)]"))
    func staged(_ sets: String...) async throws -> ObservedPair {
      let transport = RoutedTransport { _, path in
        path.hasSuffix("/token") ? RoutedTransport.token : .init(body: "[\(sets.joined(separator: ","))]")
      }
      return try await provider(transport).stage(seen)
    }
    for other in ["primary", "old"] {
      #expect(try await text(staged(set().replacing("new", with: other), set()).clientID) == "new", "\(other)")
    }
    #expect(try await text(staged(set(state: "Expired").replacing("new", with: "third"), set()).clientID) == "new")
    let error = await failure { _ = try await staged(old) }
    #expect(error?.code == .malformed && error?.mayHaveActed == true)
  }

  @Test("identify our consumer by the setting, by its primary key or by a staged key")
  func consumers() async throws {
    let transport = RoutedTransport { _, path in
      switch path {
      case _ where path.hasSuffix("/token"): RoutedTransport.token
      case Self.app:
        .init(
          body: #"{"consumers":[{"id":"888000000000001","key":"one"},{"id":"888000000000002AAA","key":"two"},"#
            + #"{"id":"888000000000003"}]}"#)
      case "\(Self.app)/888000000000003?part=key": .init(body: #"{"id":"888000000000003","key":"three"}"#)
      case "\(Self.app)/888000000000001/staged": .init(body: "[\(set())]")
      default: .init(status: 404, body: #"[{"errorCode":"NOT_FOUND"}]"#)
      }
    }
    for (key, expected) in [
      ("one", "888000000000001"), ("two", "888000000000002AAA"), ("three", "888000000000003"),
      ("new", "888000000000001"),
    ] {
      #expect(try await provider(transport).observe(known: known(key)).consumer == expected)
    }
    let named = try provider(transport, ["consumer": "888000000000002"])
    #expect(try await named.observe(known: known("nobody")).consumer == "888000000000002AAA")
    let error = await failure { _ = try await provider(transport).observe(known: known("nobody")) }
    #expect(error?.code == .configuration)
  }

  @Test("that fail while the consumer is searched for are reported, and not as a missing consumer")
  func searchTrouble() async throws {
    for (answer, code) in [
      (RoutedTransport.Answer(status: 503), ProviderError.Code.unreachable), (.init(status: 429), .limited),
      (.init(body: "garbage"), .malformed),
    ] {
      let transport = RoutedTransport { _, path in
        if path.hasSuffix("/token") { return RoutedTransport.token }
        return path == Self.app ? .init(body: #"{"consumers":[{"id":"888000000000001","key":"one"}]}"#) : answer
      }
      let error = await failure { _ = try await provider(transport).observe(known: known("nobody")) }
      #expect(error?.code == code, "\(String(describing: error))")
    }
  }

  @Test("that refuse a change are classified, and the error says whether it may have acted")
  func refusals() async throws {
    let rows: [(status: Int, code: String, message: String, expected: ProviderError.Code)] = [
      (401, "INVALID_SESSION_ID", "Session expired or invalid", .notPermitted),
      (403, "FUNCTIONALITY_NOT_ENABLED", "This feature is not currently enabled", .configuration),
      (403, "OTHER", "feature is not enabled", .configuration), (403, "", "not enabled for this user", .notPermitted),
      (403, "INSUFFICIENT_ACCESS", "", .notPermitted), (403, "REQUEST_LIMIT_EXCEEDED", "", .limited),
      (403, "API_DISABLED_FOR_ORG", "", .configuration), (429, "", "", .limited), (404, "NOT_FOUND", "", .notFound),
      (400, "INVALID_OPERATION", "already has staged credentials", .occupied), (409, "", "", .occupied),
      (500, "UNKNOWN_EXCEPTION", "", .unreachable), (503, "SERVER_UNAVAILABLE", "", .unreachable),
      (418, "", "", .malformed),
    ]
    for row in rows {
      let transport = RoutedTransport { method, path in
        if path.hasSuffix("/token") { return RoutedTransport.token }
        return .init(
          status: row.status, body: #"[{"errorCode":"\#(row.code)","message":"\#(row.message)"}]"#)
      }
      let seen = try await look(.init(body: "[]"))
      let error = try #require(await failure { _ = try await provider(transport).stage(seen) })
      #expect(error.code == row.expected, "\(row)")
      // An answer that the org does not give may come from something in between, after the org acted.
      #expect(error.mayHaveActed == (row.status >= 500 || row.status == 418), "\(row)")
      // A session that ended is renewed, and then a token of its own is tried, and only then.
      #expect(transport.calls.count == (row.status == 401 ? 6 : 2), "\(row): \(transport.calls)")
    }
  }

  @Test("that refuse the administrator a token are reported as a missing permission")
  func adminRefused() async throws {
    let transport = RoutedTransport(always: .init(status: 400, body: #"{"error":"invalid_client"}"#))
    let seen = try await look(.init(body: "[]"))
    let error = try #require(await failure { _ = try await provider(transport).stage(seen) })
    #expect(error.code == .notPermitted && error.hint != nil)
    // No pair of the credential that is rotated is tried in the administrator's place: it is another's.
    let before = transport.calls.count
    _ = await failure { _ = try await provider(transport).observe(known: known("primary")) }
    #expect(transport.calls.count == before + 1, "\(transport.calls)")
  }
}
