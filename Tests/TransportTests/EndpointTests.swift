import Testing

@testable import Transport

@Suite struct EndpointTests {
  @Test(arguments: [
    "https://example.com", "https://example.com/", "https://EXAMPLE.com:8443/a/b?c=d%20e", "https://10.0.0.1/",
    "https://[2001:db8::1]:443/x", "http://127.0.0.1:8080/", "http://127.9.9.9", "http://[::1]:80/",
    "http://localhost/", "HTTP://LOCALHOST:1/", "https://a_b.example?x=y", "https://example.com/a..b/.well-known",
  ])
  func `a url that is safe is taken`(_ url: String) throws { #expect(try Endpoint(url).url == url) }

  @Test(arguments: [
    "http://example.com/", "http://127.0.0.1.example.com/", "http://localhost.example.com/", "http://128.0.0.1/",
    "http://127.1/", "http://127.0.0.01/", "http://0.0.0.0/", "http://[::2]/", "http://[::ffff:127.0.0.1]/",
    "https://user@example.com/", "https://user:pw@example.com/", "http://127.0.0.1@example.com/", "ftp://example.com/",
    "file:///etc/passwd", "example.com", "//example.com", "https://", "https:///x", "https://?x", "https://:443/",
    "https://example.com:/", "https://example.com:0/", "https://example.com:65536/", "https://example.com:4 3/",
    "https://example.com:+80/", "https://example.com:80:80/", "https://[::1", "https://[::1]x/", "https://[]/",
    "https://exam ple.com/", "https://example.com/\r\nHost: x", "https://example.com/\0", "https://example.com/#x",
    "https://example.com/a/../b", "https://example.com/./b", "https://example.com/..", "https://example.com\\@x/",
    "https://exämple.com/", "https://example.com/ä", "https://exa%6dple.com/", "", "https:/example.com",
    "https://example.com/{a,b}", "https://example.com/[1-9]`", " https://example.com/",
  ])
  func `a url that is not safe is refused before any look-up`(_ url: String) {
    #expect(throws: TransportError(.insecureURL, host: "", "")) { try Endpoint(url) }
  }

  @Test func `errors name the host, and nothing after or before it`() {
    let clear = #expect(throws: TransportError.self) { try Endpoint("http://example.com:81/path-x?query-x") }
    let expected = "url for example.com:81 has scheme http, expected https (http is for loopback addresses only)"
    #expect(clear?.description == expected)
    #expect(clear?.host == "example.com:81")
    #expect(clear?.mayHaveActed == false && clear?.isTransient == false)
    let user = #expect(throws: TransportError.self) { try Endpoint("https://me:hunter2@example.com/") }
    #expect(user?.description == "url holds a user name or password, expected none")
  }

  @Test func `another path keeps the server`() throws {
    let endpoint = try Endpoint("https://example.com:8443/a?b").at("/services/token?c=d")
    #expect(endpoint.url == "https://example.com:8443/services/token?c=d")
    #expect(endpoint.host == "example.com:8443" && endpoint.isEncrypted && !endpoint.isLoopback)
    #expect(throws: TransportError.self) { try endpoint.at(".evil.example/") }
    #expect(throws: TransportError.self) { try endpoint.at("/../x") }
  }
}
