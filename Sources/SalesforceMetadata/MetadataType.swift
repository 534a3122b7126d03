/// A type of the Metadata API that describes an app: where its files are, and what may stand in them.
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

  /// The end of a file's name, without the dot; in source format `-meta.xml` follows it.
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

  /// Where its files are in metadata format.
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

  /// The elements that the guide names, of the root; nil where only some of them matter here.
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

  /// The first version of the API in which the flow's elements exist; of `oauthPolicies` and `globalSettings` 60.0.
  static let flowVersion = 60
  /// The first version with staged credentials, which a rotation needs.
  static let rotationVersion = 65
}

/// A scope as metadata writes it and as a token endpoint does.
package enum MetadataScope {
  /// Those with another name in each place; the guide's enumeration of `ConnectedAppOauthAccessScope`.
  static let names: [(metadata: String, oauth: String)] = [
    ("Api", "api"), ("RefreshToken", "refresh_token"), ("OfflineAccess", "offline_access"), ("Wave", "wave_api"),
    ("Web", "web"), ("Full", "full"), ("Basic", "id"), ("OpenID", "openid"), ("Profile", "profile"),
    ("Email", "email"), ("Address", "address"), ("Phone", "phone"), ("Chatter", "chatter_api"),
    ("CustomPermissions", "custom_permissions"), ("VisualForce", "visualforce"), ("Content", "content"),
    ("Eclair", "eclair_api"), ("Pardot", "pardot_api"), ("Lightning", "lightning"),
  ]

  /// The metadata's name of `scope`, which may be that already; nil if it is not known.
  package static func metadataName(of scope: String) -> String? {
    names.first { $0.metadata == scope || $0.oauth == scope }?.metadata
  }

  /// Whether REST calls are in it.
  static func hasREST(_ scope: String) -> Bool { scope == "Api" || scope == "Full" }
}
