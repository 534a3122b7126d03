import Delivery
import Rotation
import Vault

/// The checks on this machine, before anybody is asked.
enum LocalCheck {
  /// What they find, in their order.
  static func findings(of subject: PlanSubject) -> [RotationFinding] {
    [restored, lease, zone, log, folder, disk, deliveries, person].flatMap { $0(subject) }
  }

  private static func restored(_ subject: PlanSubject) -> [RotationFinding] {
    guard let restoration = subject.restoration else { return [] }
    return [
      RotationFinding(
        .restored, .warning,
        "the vault was restored from a backup whose log ends at \(restoration.last), and this was not compared with"
          + " the provider since",
        hint: "`relatch resume \(subject.credential.name)` compares it, and so does the next command that works on it")
    ]
  }

  private static func person(_ subject: PlanSubject) -> [RotationFinding] {
    guard let byHand = subject.credential.byHand else { return [] }
    return [
      RotationFinding(
        .operator, .warning, "a person \(byHand)",
        hint: "`relatch rotate \(subject.credential.name)` at a terminal; --due does not begin such a rotation")
    ]
  }

  private static func lease(_ subject: PlanSubject) -> [RotationFinding] {
    guard let holder = subject.holder else { return [] }
    return [
      RotationFinding(
        .lease, .obstacle, "another run holds it (\(Diagnostics.printable(holder)))", hint: "wait for it to end")
    ]
  }

  private static func zone(_ subject: PlanSubject) -> [RotationFinding] {
    guard let zone = RotationSchedule.system.unknownZone(of: subject.credential) else { return [] }
    let failure = Failure(unknownZone: zone, of: subject.credential.name)
    return [
      RotationFinding(
        .zone, .obstacle, "its window names a zone this machine does not know: \(Name.printable(zone))",
        hint: failure.hint)
    ]
  }

  /// Always in order: what is read from the vault was authenticated by the log's head, and a log that does not
  /// authenticate ends the command.
  private static func log(_ subject: PlanSubject) -> [RotationFinding] {
    [RotationFinding(.log, .ok, "the head of the log authenticates, \(subject.logSize) entries")]
  }

  private static func folder(_ subject: PlanSubject) -> [RotationFinding] {
    guard let trouble = VaultFolder.trouble(subject.places) else { return [] }
    return [RotationFinding(.folder, .warning, trouble.text, hint: trouble.hint)]
  }

  private static let minimumSpace: UInt64 = 1 << 20
  private static let notableSpace: UInt64 = 64 << 20

  private static func disk(_ subject: PlanSubject) -> [RotationFinding] {
    let folder = subject.places.vault
    let hint = "free space on the disk of \(Name.printable(folder)): below 1 MiB the vault releases nothing"
    guard VaultFolder.isWritable(subject.places) else {
      return [
        RotationFinding(
          .disk, .obstacle, "the vault's folder \(Name.printable(folder)) cannot be written",
          hint: "check the owner and mode of the folder and its files, and that the file system is not read-only")
      ]
    }
    guard let free = VaultFolder.freeBytes(subject.places) else {
      return [RotationFinding(.disk, .warning, "how much space is left for the vault is not known")]
    }
    let text = "\(free >> 20) MiB are left for the vault"
    if free < minimumSpace {
      return [RotationFinding(.disk, .obstacle, "\(free >> 10) KiB are left for the vault", hint: hint)]
    }
    return [RotationFinding(.disk, free < notableSpace ? .warning : .ok, text, hint: free < notableSpace ? hint : nil)]
  }
}

extension LocalCheck {
  /// Whether each sink and hook could do its work: a rotation does not begin if one could not.
  private static func deliveries(_ subject: PlanSubject) -> [RotationFinding] {
    guard !subject.credential.isTransferred else { return [] }
    let deliveries = subject.credential.deliveries
    let problems = LocalDelivery.ofThisProcess(in: subject.places).problems(of: subject.credential)
    let obstacles = problems.map { problem in
      RotationFinding(
        .delivery, .obstacle, "\(problem.name) cannot work: \(problem.error)", hint: problem.error.hint)
    }
    let unapproved = subject.unapproved.map { RotationFinding(.delivery, .obstacle, $0.description, hint: $0.hint) }
    guard obstacles.isEmpty, unapproved.isEmpty, !deliveries.isEmpty else { return unapproved + obstacles }
    return [RotationFinding(.delivery, .ok, "each of \(deliveries.count) sinks and hooks can be delivered to")]
  }
}

extension LocalCheck {
  /// What somebody has done to the files that hold `active`, the active pair of `credential`; nil if they are as they
  /// were delivered.
  static func drift(from active: Pair, of credential: Credential) -> RotationFinding? {
    guard !credential.isTransferred else { return nil }
    let names = LocalDelivery.ofThisProcess.drifted(from: active, of: credential)
    guard !names.isEmpty else { return nil }
    return RotationFinding(
      .delivery, .warning,
      "\(names.joined(separator: ", ")): not as delivered: the file is gone or no longer contains the active pair",
      hint: "`relatch deliver --again \(credential.name)` writes it again")
  }
}
