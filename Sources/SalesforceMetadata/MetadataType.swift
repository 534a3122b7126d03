/// A type of the Metadata API that describes an app: where its files are, and what they may contain.
///
/// Names, suffixes and folders are those of the Metadata API Developer Guide, pages `meta_externalclientapplication`,
/// `meta_extlclntappoauthsettings`, `meta_extlclntappglobaloauthsettings`, `meta_extlclntappoauthconfigurablepolicies`,
/// `meta_extlclntappconfigurablepolicies`, `meta_externalclientappsettings` and `meta_connectedapp`.
enum MetadataType: String, CaseIterable, Sendable {
  case app = "ExternalClientApplication"
  case oauthSettings = "ExtlClntAppOauthSettings"
  case globalSettings = "ExtlClntAppGlobalOauthSettings"
  case oauthPolicies = "ExtlClntAppOauthConfigurablePolicies"
  case policies = "ExtlClntAppConfigurablePolicies"
  case orgSettings = "ExternalClientAppSettings"
  case connectedApp = "ConnectedApp"

  /// The suffix of a file's name, without the dot. In source format `-meta.xml` follows it.
  var suffix: String {
    switch self {
    case .app: "eca"
    case .oauthSettings: "ecaOauth"
    case .globalSettings: "ecaGlblOauth"
    case .oauthPolicies: "ecaOauthPlcy"
    case .policies: "ecaPlcy"
    case .orgSettings: "settings"
    case .connectedApp: "connectedApp"
    }
  }

  /// The folder of its files in metadata format.
  var folder: String {
    switch self {
    case .app: "externalClientApps"
    case .oauthSettings: "extlClntAppOauthSettings"
    case .globalSettings: "extlClntAppGlobalOauthSets"
    case .oauthPolicies: "extlClntAppOauthPolicies"
    case .policies: "extlClntAppPolicies"
    case .orgSettings: "settings"
    case .connectedApp: "connectedApps"
    }
  }

  /// The name of the type in `package.xml`.
  var manifestName: String { self == .orgSettings ? "Settings" : rawValue }

  /// The children of the root that the guide lists; nil for a type of which only some matter here.
  var elements: Set<String>? {
    switch self {
    case .app:
      Self.words(
        """
        contactEmail contactPhone description distributionState iconUrl infoUrl isProtected label logoUrl managedType
        orgScopedExternalApp
        """)
    case .oauthSettings:
      Self.words(
        """
        areAttributesIncludedInAssetToken areCustomPermsIncludedInAssetToken assetTokenAudiences
        assetTokenSigningCertificate assetTokenValidity clientAssertionCertificate commaSeparatedOauthScopes
        customAttributes externalClientApplication isFirstPartyAppEnabled label oauthLink singleLogoutUrl trustedIpRanges
        """)
    case .globalSettings:
      Self.words(
        """
        callbackUrl certificate consumerKey consumerSecret externalClientApplication idTokenConfig
        isClientCredentialsFlowEnabled isCodeCredFlowEnabled isCodeCredPostOnly isConsumerSecretOptional
        isDeviceFlowEnabled isIntrospectAllTokens isNamedUserJwtEnabled isPkceRequired isRefreshTokenRotationEnabled
        isSecretRequiredForRefreshToken isSecretRequiredForTokenExchange isTokenExchangeEnabled label
        shouldRotateConsumerKey shouldRotateConsumerSecret
        """)
    case .oauthPolicies:
      Self.words(
        """
        apexHandler clientCredentialsFlowUser commaSeparatedCustomScopes commaSeparatedPermissionSet
        commaSeparatedProfile customAttributes executeHandlerAs externalClientApplication guestJwtTimeout
        guestJwtSessionTimeoutType ipRelaxationPolicyType isClientCredentialsFlowEnabled isGuestCodeCredFlowEnabled
        isNamedUserJwtEnabled isTokenExchangeFlowEnabled label namedUserJwtTimeout namedUserJwtSessionTimeoutType
        permittedUsersPolicyType policyAction refreshTokenPolicyType refreshTokenValidityPeriod
        refreshTokenValidityUnit requiredSessionLevel sessionTimeoutInMinutes singleLogoutUrl startUrl
        """)
    case .policies:
      Self.words(
        """
        externalClientApplication isApiPluginEnabled isCanvasPluginEnabled isEnabled isMcpPluginEnabled
        isMobilePluginEnabled isNotificationPluginEnabled isOauthPluginEnabled isPushPluginEnabled isSamlPluginEnabled
        label startPage startUrl
        """)
    case .orgSettings, .connectedApp: nil
    }
  }

  private static func words(_ text: String) -> Set<String> {
    Set(text.split { $0 == " " || $0 == "\n" }.map(String.init))
  }

  /// The first version of the API with the flow's elements: 60.0 for `oauthPolicies` and `globalSettings`.
  static let flowVersion = 60
  /// The first version with staged credentials, which a rotation needs.
  static let rotationVersion = 65
}

/// The names of scopes in metadata and at a token endpoint.
package enum MetadataScope {
  /// Both names of each scope, from the guide's enumeration of `ConnectedAppOauthAccessScope`.
  static let names: [(metadata: String, oauth: String)] = [
    ("Api", "api"), ("RefreshToken", "refresh_token"), ("OfflineAccess", "offline_access"), ("Wave", "wave_api"),
    ("Web", "web"), ("Full", "full"), ("Basic", "id"), ("OpenID", "openid"), ("Profile", "profile"),
    ("Email", "email"), ("Address", "address"), ("Phone", "phone"), ("Chatter", "chatter_api"),
    ("CustomPermissions", "custom_permissions"), ("VisualForce", "visualforce"), ("Content", "content"),
    ("Eclair", "eclair_api"), ("Pardot", "pardot_api"), ("Lightning", "lightning"),
  ]

  /// The name of `scope` in metadata, which `scope` may already be; nil if it is not known.
  package static func metadataName(of scope: String) -> String? {
    names.first { $0.metadata == scope || $0.oauth == scope }?.metadata
  }

  /// Whether the scope includes REST calls.
  static func hasREST(_ scope: String) -> Bool { scope == "Api" || scope == "Full" }
}
