import ArgumentParser
import Audit
import Providers
import Rotation
import Sodium
import Transport
import Vault

struct TokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token", abstract: "Print an access token, after logging the access.",
    discussion: """
      A token is kept sealed beside the vault and printed again until a minute before its end, but only for the \
      version that it was granted to.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  @Flag(help: "Ask for a new token even if one is kept.")
  var fresh = false

  @Option(
    help: ArgumentHelp(
      "How long to keep a token if the provider does not say when it ends; 0s keeps no such token.",
      valueName: "duration"))
  var keep = "10m"

  /// How long a token that is released must still be valid.
  private static let minimumRest = Duration.seconds(60)

  func run() async throws {
    guard let longest = Policy.duration(keep) else {
      throw Failure(
        .usage, "--keep \(Name.printable(keep)): expected a duration such as 10m",
        hint: "write it as in 10m; 0s keeps none")
    }
    let places = try Places(options)
    let vault = try await places.openVault()
    // Checked before the pair is opened, which is logged: a provider that gives out no tokens never will.
    let issuer = try Self.issuer(for: try await vault.read { try $0.credential(name) })
    let access = try await vault.tokenAccess(of: name, now: WallClock.now())
    let kept = KeptTokens(of: places)
    let before = kept.record(of: access)
    let now = WallClock.now()
    if !fresh, let before, let (token, end) = access.open(before), now + Self.minimumRest < end,
      !kept.isAhead(of: now, access)
    {
      return try write(token)
    }
    let transport = CurlTransport()
    let asked = WallClock.now()
    let issued: IssuedToken
    do {
      issued = try await issuer.token(for: access.pair, settings: access.credential.settings, over: transport)
    } catch {
      await transport.shutdown()
      throw Failure(error).naming(name)
    }
    await transport.shutdown()
    let end = asked + (issued.lifetime ?? longest)
    if WallClock.now() + Self.minimumRest < end, access.mayReplace(before, now: WallClock.now()) {
      let record = try access.seal(issued.token.secret, end: end, randomness: .system)
      if !kept.keep(record, of: access) {
        Report(options).note("the token cannot be kept in the vault's folder: the next command asks for a new one")
      }
    }
    try write(issued.token)
  }

  private static func issuer(for credential: Credential) throws -> any TokenIssuer.Type {
    guard let issuer = try providerKind(credential.provider) as? any TokenIssuer.Type else {
      throw Failure(
        .configuration, "\(credential.name): provider \(credential.provider) gives out no tokens",
        hint: "`relatch read \(credential.name)` prints the pair")
    }
    try issuer.requireTokens(credential.settings)
    return issuer
  }

  private func write(_ token: SharedSecret) throws {
    try token.secret.withBytes { try StandardStream.output.write($0) }
    try StandardStream.output.write("\n")
  }
}
