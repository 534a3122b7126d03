import ArgumentParser
import Audit
import Rotation
import Transport
import Vault

struct DrillCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drill",
    abstract: "Practise a leak: revoke a credential that is marked for drills, and report how long it took.",
    discussion: """
      Does what `relatch revoke` does, at the credential's own provider, and logs it: the pair is replaced and seen \
      to be refused. `relatch policy NAME drill=yes` marks a credential; one that is not marked is never touched. To \
      practise against a simulated org, start `org-simulator` and add one of its apps.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credentials' names; all that are marked if none is given.", completion: .credentialName)
  var names: [String] = []

  @Flag(help: "Practise containment: end the pair before its replacement is proved, and accept the outage.")
  var contain = false

  @OptionGroup var many: JobsOptions

  func run() async throws {
    let report = Report(options)
    async let _ = CurlTransport.load()
    let places = try Places(options)
    let vault = try await places.openVault()
    let chosen = try await chosen(in: vault, report)
    let contain = contain
    let incident = Incident.name(at: WallClock.now())
    let leaks = Set(chosen).sorted().map { LeakedVersion(credential: $0, version: nil) }
    let result: Result<Void, any Error>
    do {
      try await RotationComposition(vault: vault, in: places).end(leaks, jobs: many.jobs, report) { version in
        Revocation(incident: incident, reason: "a drill", version: version, isContainment: contain)
      }
      result = .success(())
    } catch { result = .failure(error) }
    try await tell(of: incident, in: vault, report)
    try result.get()
  }

  private func chosen(in vault: UnlockedVault, _ report: Report) async throws -> [String] {
    let (names, member) = (names, vault.member)
    let (chosen, others) = try await vault.read { view in
      guard !names.isEmpty else {
        let marked = try view.names().compactMap { try? view.credential($0) }
          .filter { $0.policy.drill && $0.isRotatedHere }
        let open = try marked.filter { try view.canOpen($0, member) }.map(\.name)
        return (open, marked.count - open.count)
      }
      for name in names where try !view.credential(name).policy.drill {
        throw Failure(
          .usage, "\(name) is not marked for drills, so it was left alone",
          hint: "`relatch policy \(name) drill=yes` marks it")
      }
      return (names, 0)
    }
    guard !chosen.isEmpty || others == 0 else {
      throw Failure(
        .notPermitted, "\(others) marked for drills are not granted to \(member.name)",
        hint: "an owner grants one: `relatch grant NAME \(member.name)`")
    }
    report.note(leftOut: others, notGrantedTo: member)
    guard !chosen.isEmpty else {
      throw Failure(
        .usage, "no credential is marked for drills",
        hint: "`relatch policy NAME drill=yes` marks one that may be revoked")
    }
    return chosen
  }

  private func tell(of incident: String, in vault: UnlockedVault, _ report: Report) async throws {
    let told = try await vault.read { view -> IncidentReport? in
      let parts = try IncidentHistory(view).parts.filter { $0.incident == incident }
      return parts.isEmpty ? nil : try IncidentReport(of: incident, parts, in: view, now: WallClock.now())
    }
    guard let told else { return }
    let time = told.ended.map { ($0 - told.reported).seconds } ?? "not known: something is still owed"
    try report.result(told.json, text: "\(told.text)\n\ntime to revoke  \(time)")
  }
}
