/// The description of an app for an org. It has no place for a key or a secret: the org makes both.
package struct AppMetadata: Sendable {
  package enum Kind: Sendable {
    case externalClientApp
    case connectedApp
  }

  package enum Format: String, CaseIterable, Sendable {
    /// As in a project of the `sf` program.
    case source
    /// As the Metadata API accepts it.
    case metadata
  }

  /// One file; its path is relative to the project's folder.
  package struct File: Sendable {
    package let path: String
    package let text: String
  }

  let kind: Kind
  let name: String
  let runAs: String
  let contact: String
  let scopes: [String]
  let permissionSet: String?
  let callback: String
  let usesOlderPlacement: Bool

  /// The version of the API that the files are for: the first that can rotate what they describe.
  package static let apiVersion = "\(MetadataType.rotationVersion).0"

  /// The callback in an org's own example. The client credentials flow never sends anybody there.
  package static let unusedCallback = "https://login.salesforce.com/services/oauth2/success"

  /// `name` is the app's API name, `runAs` the user name of the user that it acts as, `contact` an e-mail address.
  /// `scopes` are named as in metadata or as in OAuth. Only users of `permissionSet` may use the app; if it is nil,
  /// everybody may. With `usesOlderPlacement` the flow is also enabled in `ExtlClntAppConfigurablePolicies`, as in
  /// older guides.
  ///
  /// Throws `MetadataError.invalidInput` for values that no org would accept.
  package init(
    _ kind: Kind, name: String, runAs: String, contact: String, scopes: [String] = ["Api"],
    permissionSet: String? = nil, callback: String = unusedCallback, usesOlderPlacement: Bool = false
  ) throws {
    try Self.checkName(name, "the app's name")
    if let permissionSet { try Self.checkName(permissionSet, "the permission set's name") }
    guard Self.isAddress(runAs) else {
      throw MetadataError(
        .invalidInput, "the run-as user: expected a user name, which has the form of an e-mail address")
    }
    guard Self.isAddress(contact) else {
      throw MetadataError(.invalidInput, "the contact: expected an e-mail address")
    }
    guard callback.hasPrefix("https://"), callback.utf8.count <= 2000,
      callback.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
    else { throw MetadataError(.invalidInput, "the callback: expected an https:// address") }
    self.scopes = try scopes.map { scope in
      guard let name = MetadataScope.metadataName(of: scope) else {
        let known = MetadataScope.names.map(\.metadata).joined(separator: ", ")
        throw MetadataError(.invalidInput, "a scope is not known: expected one of \(known), or its OAuth name")
      }
      return name
    }
    guard self.scopes.contains(where: MetadataScope.hasREST) else {
      throw MetadataError(.invalidInput, "the scopes lack Api, without which nothing can be asked of the org")
    }
    self.kind = kind
    self.name = name
    self.runAs = runAs
    self.contact = contact
    self.permissionSet = permissionSet
    self.callback = callback
    self.usesOlderPlacement = usesOlderPlacement
  }

  /// Checks the rule for API names: at most 80 letters, digits and single underscores, a letter first, no underscore
  /// last.
  private static func checkName(_ name: String, _ what: String) throws(MetadataError) {
    let bytes = Array(name.utf8)
    func isLetter(_ byte: UInt8) -> Bool { (65...90).contains(byte) || (97...122).contains(byte) }
    guard let first = bytes.first, isLetter(first), bytes.last != UInt8(ascii: "_"), bytes.count <= 80,
      bytes.allSatisfy({ isLetter($0) || (48...57).contains($0) || $0 == UInt8(ascii: "_") }),
      !zip(bytes, bytes.dropFirst()).contains(where: { $0 == UInt8(ascii: "_") && $1 == $0 })
    else {
      throw MetadataError(
        .invalidInput,
        "\(what): expected an API name, which is at most 80 letters, digits and single underscores, a letter first and no"
          + " underscore last")
    }
  }

  /// Whether `text` has the form of an e-mail address, as user names have.
  static func isAddress(_ text: String) -> Bool {
    let parts = text.split(separator: "@", omittingEmptySubsequences: false)
    return parts.count == 2 && !parts[0].isEmpty && parts[1].contains(".") && !parts[1].hasPrefix(".")
      && !parts[1].hasSuffix(".") && text.utf8.count <= 80 && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
  }

  /// All files of the project, in the order of their paths.
  package func files(_ format: Format) -> [File] {
    let root = format == .source ? "force-app/main/default/" : ""
    var files = components.map { type, name, children in
      File(
        path: "\(root)\(type.folder)/\(name).\(type.suffix)\(format == .source ? "-meta.xml" : "")",
        text: XMLNode.document(type.rawValue, children))
    }
    files.append(File(path: "package.xml", text: manifest))
    if format == .source { files.append(File(path: "sfdx-project.json", text: Self.project)) }
    return files.sorted { $0.path < $1.path }
  }

  private static let project = """
    {
      "packageDirectories": [{ "path": "force-app", "default": true }],
      "sourceApiVersion": "\(apiVersion)"
    }

    """

  private var manifest: String {
    let types = components.map { type, name, _ in
      XMLNode.element("types", [.text("members", name), .text("name", type.manifestName)])
    }
    return XMLNode.document("Package", types + [.text("version", Self.apiVersion)])
  }

  private typealias Component = (type: MetadataType, name: String, children: [XMLNode])

  private var components: [Component] {
    kind == .connectedApp ? [connectedApp] : [app, oauthSettings, globalSettings, oauthPolicies, policies]
  }

  // The elements are in the alphabetical order in which an org returns them, so that a later retrieval shows no
  // difference.

  private var app: Component {
    (
      .app, name,
      [
        .text("contactEmail", contact), .text("distributionState", "Local"), .flag("isProtected", false),
        .text("label", name),
      ]
    )
  }

  private var oauthSettings: Component {
    (
      .oauthSettings, name + "_oauth",
      [
        .text("commaSeparatedOauthScopes", scopes.joined(separator: ", ")), .text("externalClientApplication", name),
        .text("label", name + "_oauth"),
      ]
    )
  }

  /// PKCE and the rules for refresh tokens keep their defaults: they do not concern this flow.
  private var globalSettings: Component {
    (
      .globalSettings, name + "_glbloauth",
      [
        .text("callbackUrl", callback), .text("externalClientApplication", name),
        .flag("isClientCredentialsFlowEnabled", true), .flag("isConsumerSecretOptional", false),
        .flag("isIntrospectAllTokens", false), .flag("isPkceRequired", true),
        .flag("isSecretRequiredForRefreshToken", true), .text("label", name + "_glbloauth"),
        .flag("shouldRotateConsumerKey", false), .flag("shouldRotateConsumerSecret", false),
      ]
    )
  }

  private var oauthPolicies: Component {
    var children: [XMLNode] = [.text("clientCredentialsFlowUser", runAs)]
    if let permissionSet { children.append(.text("commaSeparatedPermissionSet", permissionSet)) }
    children += [
      .text("externalClientApplication", name), .text("ipRelaxationPolicyType", "Enforce"),
      .flag("isClientCredentialsFlowEnabled", true), .text("label", name + "_oauthPlcy"),
      .text(
        "permittedUsersPolicyType", permissionSet == nil ? "AllSelfAuthorized" : "AdminApprovedPreAuthorized"),
      .text("refreshTokenPolicyType", "Zero"),
    ]
    return (.oauthPolicies, name + "_oauthPlcy", children)
  }

  private var policies: Component {
    var children: [XMLNode] = usesOlderPlacement ? [.text("clientCredentialsFlowUser", runAs)] : []
    children.append(.text("externalClientApplication", name))
    if usesOlderPlacement { children.append(.flag("isClientCredentialsFlowEnabled", true)) }
    children += [.flag("isEnabled", true), .flag("isOauthPluginEnabled", true), .text("label", name + "_plcy")]
    return (.policies, name + "_plcy", children)
  }

  private var connectedApp: Component {
    var configuration: [XMLNode] = [
      .text("callbackUrl", callback), .flag("isAdminApproved", permissionSet != nil),
      .flag("isClientCredentialEnabled", true), .flag("isConsumerSecretOptional", false),
      .flag("isIntrospectAllTokens", false), .flag("isPkceRequired", true),
      .flag("isSecretRequiredForRefreshToken", true), .text("oauthClientCredentialUser", runAs),
    ]
    configuration += scopes.map { .text("scopes", $0) }
    var children: [XMLNode] = [
      .text("contactEmail", contact), .text("label", name), .element("oauthConfig", configuration),
      .element("oauthPolicy", [.text("ipRelaxation", "ENFORCE"), .text("refreshTokenPolicy", "zero")]),
    ]
    if let permissionSet { children.append(.text("permissionSetName", permissionSet)) }
    return (.connectedApp, name, children)
  }
}
