/// What an administrator or Salesforce itself may have done to the whole org.
package struct OrgConditions: OrgSettings, Equatable {
  /// Setup → External Client App Settings → "Allow access to External Client App consumer secrets via REST API".
  package var restSecretAccess = true
  package var isLocked = false
  package var loginRateExceeded = false
  /// The daily limit of API requests, which the Connect resources count against.
  package var requestLimitExceeded = false
  /// Whether the org has its API switched on.
  package var apiEnabled = true
  /// What a token answer names as `instance_url`; the org's own address if empty.
  package var instanceURL = ""
  /// The newest API version served. Staged credentials came with 65 (Winter '26).
  package var newestVersion = 67
  /// The token endpoint will always refuse the next pair that is staged; resets itself.
  package var poisonsNextStagedPair = false
  /// How many further answers lack their secrets, as seen shortly after the REST switch was turned on.
  package var answersWithoutSecret = 0

  package init() {}
}

/// What an administrator may have done to one app.
package struct AppConditions: OrgSettings, Equatable {
  package enum RunAsUser: String, Codable, Sendable { case active, inactive, missing }

  package var clientCredentialsFlow = true
  package var runAsUser = RunAsUser.active
  package var ipRestricted = false
  /// Whether the Run-As user holds the permission set that the app demands.
  package var adminApproved = true
  /// The scopes that a token answer lists.
  package var scopes = "api"
  /// Whether its Run-As user may read the objects named in queries.
  package var readsObjects = true
  /// Whether the Run-As user of an administering app still has the permissions for that.
  package var isPermitted = true
  /// Whether userinfo answers its tokens.
  package var showsUser = true
  /// What the token endpoint answers to a good pair, as `error: description`, with HTTP 400; nothing if empty. For
  /// errors in the published list that have no switch of their own here.
  package var tokenError = ""

  package init() {}
}
