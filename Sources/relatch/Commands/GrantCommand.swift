import ArgumentParser
import JSON
import Vault

/// A credential and a member.
struct GrantArguments: ParsableArguments {
  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  @Argument(help: "The member's name.", completion: .memberName)
  var member: String
}

struct GrantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "grant", abstract: "Let an operator open and rotate one credential.",
    discussion: """
      The credential's key is sealed to the member, who can then open this credential and no other. If another \
      credential administers it, rotating it needs a grant on that one, too; anyone who has that grant can do at the \
      provider whatever the administrator can.

      \(HelpText.examples("relatch grant crm bob", "relatch grant admin bob"))
      """)

  @OptionGroup var options: CommonOptions
  @OptionGroup var grant: GrantArguments

  func run() async throws {
    let (name, member) = (grant.name, grant.member)
    let vault = try await Places(options).openVault()
    let isNew: Bool
    do {
      try await vault.grant(name, to: member, now: WallClock.now())
      isNew = true
    } catch let error as VaultError where error.code == .alreadyExists { isNew = false }
    let credential = try await vault.read { try $0.credential(name) }
    let report = Report(options)
    try report.confirmation(
      .object(["credential": .string(name), "member": .string(member), "new": .bool(isNew), "type": "grant"]),
      text: isNew ? "\(member) can now open \(name)" : "\(member) could already open \(name)")
    if !credential.isSelfAdministered {
      report.note("rotating it needs a grant on its administrator, too: `relatch grant \(credential.admin) \(member)`")
    }
  }
}

struct UngrantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ungrant", abstract: "Withdraw a grant: the credential gets a new key and is due for rotation.",
    discussion: "What the member has already copied stays usable until the pair is replaced: `relatch rotate --due`.")

  @OptionGroup var options: CommonOptions
  @OptionGroup var grant: GrantArguments

  func run() async throws {
    let withdrawal = try await Places(options).openVault()
      .ungrant(grant.name, from: grant.member, now: WallClock.now())
    try Report(options).withdrawal(withdrawal, from: grant.member, of: grant.name)
  }
}
