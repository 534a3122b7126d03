import Audit
import Delivery
import JSON
import Rotation
import Sodium
import Vault

extension LocalDelivery {
  /// Delivery to files and programs of this machine.
  static var ofThisProcess: LocalDelivery { LocalDelivery(hooks: .ofThisProcess, randomness: .system) }

  /// The same, and nothing onto what this process needs itself in `places`.
  static func ofThisProcess(in places: Places) -> LocalDelivery {
    let own = OwnFiles(places)
    return LocalDelivery(hooks: .ofThisProcess, randomness: .system) { own.contain($0) }
  }
}

extension HookRunner {
  /// Runs hooks with what a program gets of this process's environment.
  static var ofThisProcess: HookRunner {
    var environment: [String: String] = [:]
    for name in ["PATH", "HOME", "LANG"] { environment[name] = ProcessEnvironment.value(of: name) }
    return HookRunner(
      environment: environment, mask: ProcessHardening.applied.childMask,
      sleep: { try await WallClock.sleep($0) })
  }
}

extension RotationComposition {
  /// Runs a credential's hooks for `failed`. A hook that fails itself is only a warning: what counts is the failure
  /// before it.
  func reportHooks(of name: String, _ failure: Failure) async {
    // No failure: another run is at work, it is not time yet, or the credential is somebody else's and nothing was
    // tried.
    guard failure.code != .heldByAnotherRun, failure.code != .done else { return }
    do {
      let member = vault.member
      let credential = try await vault.read { view in
        guard try view.hasCredential(name) else { return nil as Credential? }
        let credential = try view.credential(name)
        guard !credential.isTransferred, (try? view.requireKey(of: credential, for: member)) != nil else { return nil }
        if !credential.hooks(on: .failed).isEmpty { try view.requireDeliveriesAddedByOwners(of: credential) }
        return credential
      }
      guard let credential else { return }
      let occasion = DeliveryOccasion(
        credential: name, version: credential.version(in: .active)?.number ?? 0,
        previous: credential.replaced?.number)
      for hook in credential.hooks(on: .failed) {
        do {
          try await delivery.tell(hook, occasion, code: Int(failure.code.rawValue), error: failure.message)
        } catch { Diagnostics.standard.warning("\(name): the hook \(hook.name), which reports this, failed: \(error)") }
      }
    } catch { Diagnostics.standard.warning("\(name): its hooks that report this cannot be run: \(error)") }
  }
}

extension DeliveryRecord {
  /// The record as `--json` shows it.
  func json(of credential: Credential) -> JSONValue {
    guard case .object(var members) = json else { return json }
    members["entry"] = nil
    members["delivery"] = members.removeValue(forKey: "name")
    if settings.takesPair {
      members["undelivered"] = .bool(delivered != credential.version(in: .active)?.number)
    }
    return .object(members)
  }

  /// Says in words that `version` has not arrived there.
  func lack(of version: UInt64) -> String {
    var line = "version \(version) has not arrived at the \(settings.word) \(name)"
    if let tried { line += ", tried \(Int(attempts).times) without success, last at \(tried)" }
    return line
  }

  /// One line for people.
  func line(of credential: Credential) -> String {
    var line = "\(name)  "
    switch settings.kind {
    case .file(let file):
      switch file.format {
      case .json: line += "json"
      case .dotenv(let prefix): line += "dotenv \(prefix)"
      case .template(let path): line += "template \(path)"
      }
      line += "  \(file.path)  mode \(String(file.mode, radix: 8))"
    case .hook(let hook):
      line += "on \(hook.occasion.rawValue)  at most \(Policy.text(hook.timeLimit))  "
      line += hook.arguments.map { $0.contains(" ") || $0.isEmpty ? Name.printable($0) : $0 }.joined(separator: " ")
    }
    guard settings.takesPair else { return Diagnostics.printable(line) }
    let nothing = tried == nil ? "has nothing yet" : "nothing is known to have arrived"
    line += "  " + (delivered.map { "has version \($0)" } ?? nothing)
    if let tried { line += ", tried \(Int(attempts).times) without success, last at \(tried)" }
    return Diagnostics.printable(line)
  }
}
