import Audit
import Delivery
import Glibc
import JSON
import Rotation
import Sodium
import Storage
import Vault

extension LocalDelivery {
  /// Files and programs of this machine.
  static var ofThisProcess: LocalDelivery { LocalDelivery(hooks: .ofThisProcess, randomness: .system) }
}

extension HookRunner {
  /// With what a program gets of this process.
  static var ofThisProcess: HookRunner {
    var environment: [String: String] = [:]
    for name in ["PATH", "HOME", "LANG"] { environment[name] = ProcessEnvironment.value(of: name) }
    return HookRunner(
      environment: environment, mask: ProcessHardening.applied.childMask,
      sleep: { try await WallClock.sleep($0) })
  }
}

extension RotationComposition {
  /// Runs the hooks `failed` of a credential. One that fails itself is a warning: what failed before is what counts.
  func tellHooks(of name: String, _ failure: Failure) async {
    // Another run is at work, or it is only not time yet.
    guard failure.code != .heldByAnotherRun, failure.code != .done else { return }
    do {
      let credential = try await vault.read { view in
        guard try view.hasCredential(name) else { return nil as Credential? }
        let credential = try view.credential(name)
        if !credential.hooks(on: .failed).isEmpty { try view.requireOwnersDeliveries(of: credential) }
        return credential
      }
      guard let credential else { return }
      let occasion = DeliveryOccasion(
        credential: name, version: credential.version(in: .active)?.number ?? 0,
        previous: credential.debts.last?.number)
      for hook in credential.hooks(on: .failed) {
        do {
          try await delivery.tell(hook, occasion, code: Int(failure.code.rawValue), error: failure.message)
        } catch { Diagnostics.standard.warning("\(name): the hook \(hook.name), told of this, failed: \(error)") }
      }
    } catch { Diagnostics.standard.warning("\(name): its hooks cannot be told of this: \(error)") }
  }
}

extension DeliveryRecord {
  /// As `--json` shows it.
  func json(of credential: Credential) -> JSONValue {
    guard case .object(var members) = json else { return json }
    members["entry"] = nil
    members["delivery"] = members.removeValue(forKey: "name")
    if settings.takesPair {
      members["undelivered"] = .bool(delivered != credential.version(in: .active)?.number)
    }
    return .object(members)
  }

  /// That it lacks `version`, in words.
  func lack(of version: UInt64) -> String {
    var line = "version \(version) has not arrived at the \(settings.word) \(name)"
    if let tried { line += ", tried \(Int(attempts).times) in vain, last at \(tried)" }
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
    if let tried { line += ", tried \(Int(attempts).times) in vain, last at \(tried)" }
    return Diagnostics.printable(line)
  }
}

/// Paths as a person types them.
enum Paths {
  /// `path`, seen from the present folder if it does not say from where.
  static func absolute(_ path: String) throws -> String {
    guard !path.hasPrefix("/") else { return path }
    guard let folder = getcwd(nil, 0) else {
      throw Failure(.notFound, "the present folder cannot be found", hint: "name the file from the root: /…")
    }
    defer { free(folder) }
    var path = path
    while path.hasPrefix("./") { path.removeFirst(2) }
    return String(cString: folder) + "/" + path
  }

  /// The program that `word` names: a path, or the first of that name in the folders of PATH.
  static func program(_ word: String) throws -> String {
    if word.contains("/") { return try absolute(word) }
    for folder in (ProcessEnvironment.value(of: "PATH") ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":") {
      let path = "\(folder)/\(word)"
      if folder.hasPrefix("/"), access(path, X_OK) == 0 { return path }
    }
    throw Failure(
      .notFound, "there is no program \(Name.printable(word)) in the folders of PATH", hint: "name its path: /…")
  }

  /// What a sink or hook is called that nobody named: the file's or program's own name.
  static func name(of path: String) -> String {
    let last = path.split(separator: "/").last.map(String.init) ?? ""
    let name = last.unicodeScalars.filter {
      $0.isASCII && ($0.properties.isAlphabetic || (48...57).contains($0.value) || "._-@".unicodeScalars.contains($0))
    }
    .drop { !$0.properties.isAlphabetic && !(48...57).contains($0.value) }
    return String(String.UnicodeScalarView(name))
  }
}
