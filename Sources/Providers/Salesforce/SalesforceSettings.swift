import Rotation
import Transport
import Vault

/// The checked settings of one credential.
struct SalesforceSettings: Sendable {
  /// The My Domain, as an endpoint without a path.
  let domain: Endpoint
  /// The External Client App's identifier; nil for a credential that is only used.
  let app: String?
  let consumer: String?
  /// `NN.0`, from 65.0: the first version with staged credentials.
  let apiVersion: String

  static let descriptor = ProviderDescriptor(
    id: "salesforce",
    summary: "Salesforce External Client Apps: staged credentials of the Connect REST API, version 65.0 and later",
    settings: [
      .init("url", "the My Domain, as in https://example.my.salesforce.com", isRequiredToRotate: true),
      .init("app", "the app's identifier, as in 0xI000000000001", isRequiredToRotate: true),
      .init(
        "consumer", "the consumer's identifier, where an app has several; found by its key if absent", isOfUse: true),
      .init("api-version", "65.0 or later; 65.0 if absent", isOfUse: true),
    ],
    life: .init(
      [.promotion], secretsAtOnce: 2, changesClientID: true,
      oldPair: "until it is deleted, for 30 days at most; it holds the only staging slot as long",
      oldPairEnds: .seconds(30 * 86_400),
      lostAnswer: "the staging slot and the primary pair show what was done, a new pair's secret included"),
    administrator: "an app whose Run As user has External Client App Developer and View Client Secret; or itself",
    documents: [
      .init(
        "Connect REST API guide, OAuth Credentials Resources",
        "https://developer.salesforce.com/docs/atlas.en-us.chatterapi.meta/chatterapi/connect_resources_oauth_credentials_resources.htm"
      ),
      .init(
        "Salesforce help, Stage OAuth Credentials",
        "https://help.salesforce.com/s/articleView?id=xcloud.eca_stage_oauth_credentials.htm"),
    ])

  init(_ settings: [String: String]) throws(ProviderError) {
    try Self.descriptor.checkKeys(settings)
    domain = try Self.domain(of: settings)
    app = try settings["app"].map { text throws(ProviderError) in
      try Self.identifier(text, key: "app", "the app's identifier, 15 or 18 letters and digits beginning with 0x")
    }
    if let app, !app.hasPrefix("0x") {
      throw ProviderError(
        .configuration, "setting app does not begin with 0x",
        hint: "take the app's identifier from GET /apps/oauth/usage, not its name or its consumer key")
    }
    consumer = try settings["consumer"].map { text throws(ProviderError) in
      try Self.identifier(text, key: "consumer", "the consumer's identifier, 15 or 18 letters and digits")
    }
    apiVersion = try Self.apiVersion(settings["api-version"] ?? "65.0")
  }

  /// The My Domain in `settings`, whatever else they contain: an administrator may be a credential of another kind of
  /// provider for the same org.
  static func domain(of settings: [String: String]) throws(ProviderError) -> Endpoint {
    guard let url = settings["url"] else {
      throw ProviderError(
        .configuration, "setting url is missing",
        hint: "give the My Domain: url=https://example.my.salesforce.com")
    }
    return try domain(url)
  }

  private static func domain(_ url: String) throws(ProviderError) -> Endpoint {
    let endpoint: Endpoint
    do { endpoint = try Endpoint(url.hasSuffix("/") ? String(url.dropLast()) : url) } catch {
      throw ProviderError(
        .configuration, "setting url: \(error)", hint: "use the form https://example.my.salesforce.com")
    }
    guard endpoint.url.hasSuffix("://\(endpoint.host)") else {
      throw ProviderError(
        .configuration, "setting url has a path or query after the host \(endpoint.host)",
        hint: "give only the My Domain, as in https://example.my.salesforce.com")
    }
    // These hosts refuse the client credentials grant: "request not supported on this domain".
    // With a port, or with the final dot of a fully qualified name, they are the same hosts.
    var host = endpoint.host.lowercased()
    if let colon = host.firstIndex(of: ":"), !host.hasPrefix("[") { host = String(host[..<colon]) }
    while host.hasSuffix(".") { host.removeLast() }
    for (suffix, form) in [
      ("login.salesforce.com", "https://example.my.salesforce.com"),
      ("test.salesforce.com", "https://example--sandbox.sandbox.my.salesforce.com"),
      (".lightning.force.com", "https://example.my.salesforce.com"),
      (".salesforce-setup.com", "https://example.my.salesforce.com"),
    ] where host == suffix || (suffix.hasPrefix(".") && host.hasSuffix(suffix)) {
      throw ProviderError(
        .configuration, "setting url: \(endpoint.host) does not grant client credentials",
        hint: "use the My Domain, as in \(form) (Setup, My Domain)")
    }
    return endpoint
  }

  /// Checks an identifier, which becomes part of a path: only letters and digits.
  private static func identifier(_ text: String, key: String, _ expected: String) throws(ProviderError) -> String {
    let isPlain = text.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) }
    guard isPlain, text.utf8.count == 15 || text.utf8.count == 18 else {
      throw ProviderError(.configuration, "setting \(key): \(Name.printable(text)) is not \(expected)")
    }
    return text
  }

  private static func apiVersion(_ text: String) throws(ProviderError) -> String {
    let digits = text.hasPrefix("v") ? String(text.dropFirst()) : text
    let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
    guard let major = parts.first.flatMap({ Int($0) }), parts.count <= 2, parts.count == 1 || parts[1] == "0",
      major < 1000
    else {
      throw ProviderError(.configuration, "setting api-version: \(Name.printable(text)) is not of the form 65.0")
    }
    guard major >= 65 else {
      throw ProviderError(
        .configuration, "setting api-version: \(major).0 has no staged credentials, expected 65.0 or later")
    }
    return "\(major).0"
  }

  /// Whether both name the same thing, in the form of 15 or of 18 characters: the last three are a checksum of the
  /// case.
  static func isSame(_ left: String, _ right: String) -> Bool { left.prefix(15) == right.prefix(15) }

  /// Where a pair of an External Client App is, for each `kind` that rotates these.
  static func pairPlace(_ settings: [String: String], of kind: any ProviderKind.Type) -> PairPlace {
    let short = ["app", "consumer"].compactMap { key in settings[key].map { (key, String($0.prefix(15))) } }
    return kind.pairPlace(
      settings.merging(short) { $1 }, servers: [settings["url"]].compactMap(\.self), family: descriptor.id)
  }
}
