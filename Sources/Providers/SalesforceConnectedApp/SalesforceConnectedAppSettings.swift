import Rotation
import Transport
import Vault

/// The checked settings of one connected app.
struct SalesforceConnectedAppSettings: Sendable {
  let domain: Endpoint
  /// The app's name, as App Manager lists it; nil for a credential that is only used.
  let app: String?

  static let descriptor = ProviderDescriptor(
    id: "salesforce-connected-app",
    summary: "Salesforce connected apps: no API rotates them, so a person clicks and is led through each step",
    settings: [
      .init("url", "the My Domain, as in https://example.my.salesforce.com", isRequiredToRotate: true),
      .init("app", "the app's name, as App Manager lists it", isRequiredToRotate: true),
    ],
    life: .init(
      [.promotion], secretsAtOnce: 2, changesClientID: true,
      oldPair: "only until Apply is clicked: anyone who uses it is refused until the new pair has arrived",
      lostAnswer:
        "the token endpoint shows which pairs are accepted; where that is not enough, the person is asked what the page shows"
    ),
    administrator: "nobody: a person who may manage the app's consumer details, and gets the mailed code",
    documents: [
      .init(
        "Salesforce help, View and Rotate the Consumer Key and Consumer Secret of a Connected App",
        "https://help.salesforce.com/s/articleView?id=sf.connected_app_edit_parent.htm"),
      .init(
        "Salesforce help, OAuth 2.0 Client Credentials Flow",
        "https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_client_credentials_flow.htm"),
    ],
    byHand:
      "stages the new details, types them here, and applies them; the org may accept the new pair only after Apply, and then it"
      + " is proved right after it")

  init(_ settings: [String: String]) throws(ProviderError) {
    try Self.descriptor.checkKeys(settings)
    domain = try SalesforceSettings.domain(of: settings)
    app = settings["app"]
    if let app {
      let isPrintable = app.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
      guard (1...120).contains(app.utf8.count), isPrintable else {
        throw ProviderError(
          .configuration, "setting app: expected 1 to 120 bytes without control characters",
          hint: "give the app's name, as App Manager lists it")
      }
    }
  }
}
