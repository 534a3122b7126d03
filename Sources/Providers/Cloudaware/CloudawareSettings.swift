import Rotation
import Transport
import Vault

/// The checked settings of one Cloudaware credential: those of an External Client App, and what its integration needs.
struct CloudawareSettings: Sendable {
  let domain: Endpoint
  let apiVersion: String
  /// Whether the integration uses Analytics, so that its tokens must have the scope for that.
  let usesAnalytics: Bool
  /// The object that each new pair must be able to read before it is promoted; nil for none.
  let probe: String?
  /// The settings for Salesforce's provider.
  let salesforce: [String: String]

  private static let own: [ProviderDescriptor.Setting] = [
    .init(
      "analytics", "yes if the integration uses Analytics: its tokens must have the scope wave_api; no if absent",
      isOfUse: true),
    .init(
      "probe",
      "an object that the integration reads, as in CA10__CaAwsInstance__c: each new pair must be able to read it; none if absent",
      isOfUse: true),
  ]

  static let descriptor = ProviderDescriptor(
    id: "cloudaware",
    summary: "Cloudaware's CMDB API: an External Client App on a Cloudaware domain",
    settings: SalesforceSettings.descriptor.settings.map { setting in
      setting.key == "url"
        ? .init("url", "the Cloudaware domain, as in \(form)", isRequiredToRotate: true) : setting
    } + own,
    life: SalesforceSettings.descriptor.life,
    administrator:
      "an app whose Run As user has External Client App Developer and View Client Secret, in an org that shows consumer"
      + " secrets over REST; Cloudaware's guides ask for neither View Client Secret nor that switch",
    documents: [
      .init(
        "Cloudaware, Connect to Cloudaware CMDB API using External Client App",
        "https://docs.cloudaware.com/DOCS/connect-to-cloudaware-cmdb-api-using-external-clie")
    ] + SalesforceSettings.descriptor.documents)

  private static let form = "https://cloudaware-0000.my.salesforce.com"

  init(_ settings: [String: String]) throws(ProviderError) {
    try Self.descriptor.checkKeys(settings)
    domain = try Self.domain(of: settings)
    let own = Self.own.map(\.key)
    salesforce = settings.filter { !own.contains($0.key) }
    apiVersion = try SalesforceSettings(salesforce).apiVersion
    switch settings["analytics"] {
    case "yes": usesAnalytics = true
    case "no", nil: usesAnalytics = false
    case let word?:
      throw ProviderError(.configuration, "setting analytics: \(Name.printable(word)) is neither yes nor no")
    }
    probe = settings["probe"]
    if let probe { try Self.check(object: probe) }
  }

  /// Checks an object's API name, which becomes part of a query: letters, digits and underscores, beginning with a
  /// letter.
  private static func check(object: String) throws(ProviderError) {
    func isLetter(_ byte: UInt8) -> Bool { (65...90).contains(byte) || (97...122).contains(byte) }
    let isName = object.utf8.allSatisfy { isLetter($0) || (48...57).contains($0) || $0 == UInt8(ascii: "_") }
    guard isName, object.utf8.first.map(isLetter) == true, object.utf8.count <= 80 else {
      throw ProviderError(
        .configuration, "setting probe: \(Name.printable(object)) is not an object's API name",
        hint: "name an object that the integration reads, as in CA10__CaAwsInstance__c")
    }
  }

  private static func domain(of settings: [String: String]) throws(ProviderError) -> Endpoint {
    let hint =
      "log in to Cloudaware, and take Current My Domain URL from Setup, My Domain: it has the form \(form)"
    let domain: Endpoint
    // This refuses log-in, Lightning and set-up hosts, and says what they are.
    do { domain = try SalesforceSettings.domain(of: settings) } catch {
      throw ProviderError(error.code, error.description, hint: hint)
    }
    let host = domain.host.lowercased()
    let bare = host.hasPrefix("[") ? host : String(host.prefix { $0 != ":" })
    // A server on this machine belongs to a test. It is the only kind of host that may be reached without encryption.
    guard domain.isEncrypted else { return domain }
    let suffix = ".my.salesforce.com"
    guard bare.hasSuffix(suffix) else {
      throw ProviderError(
        .configuration,
        "setting url: \(domain.host) is not a My Domain; a custom domain or a site does not grant client credentials",
        hint: hint)
    }
    let name = String(bare.dropLast(suffix.count))
    let label = name.hasSuffix(".sandbox") ? String(name.dropLast(".sandbox".count)) : name
    guard label.hasPrefix("cloudaware-"), label.utf8.count > "cloudaware-".utf8.count, !label.contains(".") else {
      throw ProviderError(
        .configuration, "setting url: \(domain.host) is not a Cloudaware domain, expected the form \(form)",
        hint: hint + "; for an org of your own use --provider salesforce")
    }
    return domain
  }
}
