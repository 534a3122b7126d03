import Audit
import OrgSimulator
import Providers
import Rotation
import Sodium
import Testing
import Transport
import Vault

/// Which credential the checklist is for.
struct ChecklistSetting: Hashable, CustomTestStringConvertible {
  let provider: String
  let isSelf: Bool

  static let all = ["salesforce", "cloudaware"].flatMap { provider in
    [false, true].map { ChecklistSetting(provider: provider, isSelf: $0) }
  }

  var testDescription: String { "\(provider), \(isSelf ? "itself" : "an administrator")" }
}

/// One thing that can be wrong with a set-up, and the line that must report it.
struct ChecklistFault: CustomTestStringConvertible, Sendable {
  /// The only place where it strikes; nil for everywhere.
  enum Place { case cloudaware, administered }

  let words: String
  let missing: String
  var place: Place?
  let strike: @Sendable (ChecklistBench) async throws -> Void

  var testDescription: String { words }

  func strikes(_ setting: ChecklistSetting) -> Bool {
    switch place {
    case .cloudaware: setting.provider == "cloudaware"
    case .administered: !setting.isSelf
    case nil: true
    }
  }

  init(
    _ words: String, _ missing: String, at place: Place? = nil,
    _ strike: @escaping @Sendable (ChecklistBench) async throws -> Void
  ) {
    self.words = words
    self.missing = missing
    self.place = place
    self.strike = strike
  }

  /// The token endpoint's answer to the credential's own pair.
  private static func token(_ error: String, _ missing: String) -> ChecklistFault {
    ChecklistFault("token endpoint: `\(error)`", missing) { $0.changeApp { $0.tokenError = error } }
  }

  static let all: [ChecklistFault] =
    tokenErrors + answers + rotation + [
      ChecklistFault("the token endpoint shows a page of maintenance", "host") {
        $0.server.add(OrgFault(.maintenancePage, path: "*/oauth2/token", count: nil))
      },
      ChecklistFault("the token endpoint answers 429", "limits") {
        $0.server.add(OrgFault(.tooManyRequests, path: "*/oauth2/token", count: nil))
      },
      ChecklistFault("the org is under maintenance", "host") {
        $0.server.add(OrgFault(.maintenancePage, count: nil))
      },
      ChecklistFault("the host answers every request with a page: it is no org", "url") {
        $0.server.add(OrgFault(.htmlPage, count: nil, acts: false))
      },
      ChecklistFault("nothing listens at the host", "host") { $0.address = "http://127.0.0.1:1" },
      ChecklistFault("this machine's clock is an hour behind", "clock") { $0.ahead = .seconds(-3600) },
      ChecklistFault("this machine's clock is an hour ahead", "clock") { $0.ahead = .seconds(3600) },
    ]

  /// The published list, what working clients recorded, and both readings where these disagree.
  private static let tokenErrors: [ChecklistFault] = [
    token("invalid_client_id: client identifier invalid", "pair"),
    token("invalid_client: client identifier invalid", "pair"),
    token("invalid_client: invalid client credentials", "pair"),
    token("invalid_grant: no client credentials user enabled", "user"),
    token("inactive_user: user is inactive", "user"),
    token("invalid_grant: client credentials flow not enabled", "flow"),
    token("unsupported_grant_type: grant type not supported", "flow"),
    token("unauthorized_client: client credentials flow not enabled", "flow"),
    token("invalid_grant: request not supported on this domain", "url"),
    token("invalid_app_access: user is not admin approved to access this app", "approved"),
    token("invalid_grant: user hasn't approved this consumer", "approved"),
    token("access_denied", "approved"), token("NO_ACCESS", "approved"),
    token("invalid_grant: ip restricted", "login"), token("invalid_grant: invalid login hours", "login"),
    token("invalid_grant: authentication failure", "login"),
    token("inactive_org: org locked", "org"),
    token("rate_limit_exceeded: number of logins exceeded", "limits"),
    token("rate_limit_exceeded: login rate exceeded", "limits"),
    token("invalid_grant: Maximum Logins Exceeded", "limits"),
    token("invalid_scope: too many scopes requested", "scopes"),
    token("invalid_client: External client app is not installed in this org", "app"),
    token("invalid_request: HTTPS required", "tls"), token("invalid_request: must use HTTP POST", "url"),
    token("server_error", "host"), token("temporarily_unavailable", "host"),
    token("unknown_error: retry your request", "host"),
    token("invalid_grant: expired access/refresh token", "flow"), token("invalid_assertion_type", "flow"),
    token("unsupported_response_type", "flow"), token("redirect_uri_mismatch", "flow"),
    token("redirect_uri_missing", "flow"), token("immediate_unsuccessful", "flow"),
    token("authorization_pending", "flow"), token("slow_down", "flow"),
  ]

  /// What a token's answer says, and what is read with the token.
  private static let answers: [ChecklistFault] = [
    ChecklistFault("the token has no scope `api`", "scopes") { $0.changeApp { $0.scopes = "refresh_token" } },
    ChecklistFault("the token has no scope `wave_api`, and `analytics=yes`", "scopes", at: .cloudaware) {
      $0.settings["analytics"] = "yes"
    },
    ChecklistFault("`instance_url` names another host", "instance") {
      $0.server.changeConditions { $0.instanceURL = "https://elsewhere.my.salesforce.com" }
    },
    ChecklistFault("the answer is signed under another secret", "signature") {
      $0.server.changeReadings { $0.signatureKey = .wrong }
    },
    ChecklistFault("the Run As user cannot see the object that `probe` names", "probe", at: .cloudaware) {
      $0.changeApp { $0.readsObjects = false }
    },
    ChecklistFault("the org is locked", "org") { $0.server.changeConditions { $0.isLocked = true } },
    ChecklistFault("the org has its API switched off", "org") { $0.server.changeConditions { $0.apiEnabled = false } },
    ChecklistFault("nobody of the org may log in any more this hour", "limits") {
      $0.server.changeConditions { $0.loginRateExceeded = true }
    },
    ChecklistFault("the org's daily requests are used up", "limits") {
      $0.server.changeConditions { $0.requestLimitExceeded = true }
    },
    ChecklistFault("the newest version of the org's API is 64.0", "version") {
      $0.server.changeConditions { $0.newestVersion = 64 }
    },
  ]

  /// What rotation needs in addition.
  private static let rotation: [ChecklistFault] = [
    ChecklistFault("the administrator's app gets no token: its flow is off", "admin", at: .administered) { bench in
      bench.server.changeConditions(ofApp: bench.server.adminApp.identifier) { $0.clientCredentialsFlow = false }
    },
    ChecklistFault("the administrator's pair is refused", "admin", at: .administered) { bench in
      bench.server.changeConditions(ofApp: bench.server.adminApp.identifier) {
        $0.tokenError = "invalid_client: invalid client credentials"
      }
    },
    ChecklistFault("the administrator is of another org", "admin", at: .administered) { bench in
      bench.adminAddress = bench.address.replacing("127.0.0.1", with: "localhost")
    },
    ChecklistFault("the administrator's Run As user lacks a permission", "permissions") { bench in
      bench.server.changeConditions(ofApp: bench.administratorsApp) { $0.isPermitted = false }
    },
    ChecklistFault("consumer secrets are not shown over REST", "switch") {
      $0.server.changeConditions { $0.restSecretAccess = false }
    },
    ChecklistFault("answers lack their secrets", "switch") {
      $0.server.changeConditions { $0.answersWithoutSecret = 1000 }
    },
    ChecklistFault("setting `app` names no app of the org", "app") { $0.settings["app"] = "0xI000000000001" },
    ChecklistFault("somebody else has staged a pair", "slot") { _ = try await $0.stageElsewhere() },
    ChecklistFault("somebody else has rotated it, and the old pair is accepted still", "primary") {
      try await $0.rotateElsewhere()
    },
    ChecklistFault("somebody else has rotated it and ended the old pair", "pair") {
      try await $0.rotateElsewhere()
      try await $0.emptySlot()
    },
    ChecklistFault("the same, and setting `consumer` is set", "primary", at: .administered) {
      $0.settings["consumer"] = $0.server.integrationApps.first?.consumers.first?.id
      try await $0.rotateElsewhere()
      try await $0.emptySlot()
    },
  ]
}

/// One credential at a simulated org, healthy until something goes wrong.
final class ChecklistBench {
  let setting: ChecklistSetting
  let server: SimulatorServer
  private let transport: CurlTransport
  private let pair: Pair
  private let admin: Pair
  var address: String
  var adminAddress: String?
  /// By how much this machine's clock is ahead of the org's.
  var ahead = Duration.zero
  var settings: [String: String]

  init(_ setting: ChecklistSetting, _ server: SimulatorServer, at url: String, _ transport: CurlTransport) throws {
    self.setting = setting
    self.server = server
    self.transport = transport
    let app = try #require(server.integrationApps.first)
    address = url
    pair = try ScenarioTests.pair(try #require(app.consumers.first?.primary))
    admin = try ScenarioTests.pair(try #require(server.adminApp.consumers.first?.primary))
    settings = ["app": app.identifier]
    if setting.provider == "cloudaware" {
      settings["probe"] = "CA10__CaAwsInstance__c"
      changeApp { $0.scopes = "api refresh_token" }
    }
  }

  private var app: String { server.integrationApps.first?.identifier ?? "" }

  var administratorsApp: String { setting.isSelf ? app : server.adminApp.identifier }

  func changeApp(_ change: @Sendable (inout AppConditions) -> Void) { server.changeConditions(ofApp: app, change) }

  private var access: AdminAccess {
    let pair = setting.isSelf ? pair : admin
    return AdminAccess(
      name: setting.isSelf ? "crm" : "admin", settings: ["url": adminAddress ?? address], isSelf: setting.isSelf
    ) { pair }
  }

  /// The checklist of its provider kind, as a fresh process would make it.
  func examine(withheld: ChecklistStep? = nil, isOffline: Bool = false) async throws -> [ChecklistLine] {
    let ahead = ahead
    let credential = Credential(
      id: Identifier(drawnFrom: .system), name: "crm", provider: setting.provider,
      settings: settings.merging(["url": address]) { $1 }, policy: Policy(), admin: setting.isSelf ? "crm" : "admin",
      keyID: "", created: WallTime.now())
    let list = try await providerKind(setting.provider).examine(
      ChecklistSubject(
        credential: credential,
        preflight: RotationPreflight(credential: credential, journal: nil, pairs: withheld == nil ? [1: pair] : [:]),
        admin: withheld == nil ? access : nil, withheld: withheld, isOffline: isOffline, transport: transport,
        now: { WallTime.now() + ahead }))
    return list.lines
  }

  // MARK: - Somebody else at work

  private func elsewhere() throws -> SalesforceProvider {
    try SalesforceProvider(
      settings: ["url": address, "app": app], admin: access, transport: transport)
  }

  private func look() async throws -> Observation {
    try await elsewhere().observe(known: KnownPairs([.init(pair, in: .active)], mark: "elsewhere"))
  }

  func stageElsewhere() async throws -> ObservedPair { try await elsewhere().stage(look()) }

  func rotateElsewhere() async throws {
    let staged = try await stageElsewhere()
    try await elsewhere().promote(handle: staged.handle, look())
  }

  func emptySlot() async throws {
    let seen = try await look()
    for other in seen.others { try await elsewhere().delete(handle: other.handle, seen) }
  }
}
