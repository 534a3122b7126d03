import Contracts
import Foundation

/// What the soak does, chosen at random: the same for the same seed, whatever becomes of it.
enum SoakStep {
  /// One command, by the owner or by the operator.
  case command([String])
  /// The active pair is read, and revoked as it would be if a file with it were found.
  case leak(String)
  /// A backup, which is restored elsewhere and verified there.
  case backup
  /// Somebody becomes a member, is granted the credential, reads it and is removed again.
  case visitor(String)
  /// The active pair is sent to the other team, which imports it, reads it and removes it again.
  case copy(String)

  static func any(using random: inout SeededGenerator) -> SoakStep {
    let name = random.pick(Soak.names)
    let other = random.pick(Soak.administered)
    let weighted: [(Int, SoakStep)] = [
      (4, .command(["rotate", name])), (4, .command(["rotate", "--replace-previous", name])),
      (3, .command(["rotate", "--due", "--jobs", "4"])),
      (2, .command(["rotate", "--all", "--replace-previous", "--jobs", "4"])), (2, .command(["resume"])),
      (1, .command(["abort", name])), (3, .command(["retire", name])),
      (2, .command(["revoke", name, "--reason", "soak"])),
      (1, .command(["revoke", name, other, "--reason", "soak", "--jobs", "2"])),
      (1, .command(["revoke", Soak.contained, "--reason", "soak", "--contain"])),
      (1, .command(["adopt", name])), (1, .command(["deliver", name, "--again"])), (1, .command(["token", other])),
      (1, .command(["plan", name])), (1, .command(["doctor", name])), (1, .command(["status", "--json"])),
      (1, .command(["list"])), (1, .command(["show", name])), (1, .command(["incident"])), (1, .command(["metrics"])),
      (1, .command(["log", "verify"])), (1, .command(["rekey"])), (2, .command(["grant", other, Soak.member])),
      (1, .command(["ungrant", other, Soak.member])),
      (1, .command(["settings", other, "--admin", random.pick(["root", "admin"])])),
      (1, .command(["policy", name, "grace=" + random.pick(["0s", "1s", "1d"])])), (2, .leak(name)), (1, .backup),
      (1, .visitor(name)), (1, .copy(name)),
    ]
    return random.pick(weighted.flatMap { Array(repeating: $1, count: $0) })
  }
}

/// What is done to a process, and when.
struct Strike {
  enum Kind {
    /// SIGKILL, SIGTERM or SIGINT.
    case end(Int32)
    /// SIGSTOP, and SIGCONT after that time.
    case stop(Duration)
  }

  let kind: Kind
  let after: Duration

  /// The code of a process that this has ended.
  var code: Int32? {
    if case .end(let signal) = kind { -signal } else { nil }
  }

  /// Nothing, for one process in three.
  static func any(using random: inout SeededGenerator, stops: Bool = true) -> Strike? {
    let after = Duration.milliseconds(Int.random(in: 0...random.pick([50, 400, 2000]), using: &random))
    let pause = Duration.milliseconds(Int.random(in: 300...2000, using: &random))
    switch Int.random(in: 0..<100, using: &random) {
    case ..<45: return Strike(kind: .end(SIGKILL), after: after)
    case ..<52: return Strike(kind: .end(SIGTERM), after: after)
    case ..<56: return Strike(kind: .end(SIGINT), after: after)
    case ..<68 where stops: return Strike(kind: .stop(pause), after: after)
    default: return nil
    }
  }
}

/// How the org is: each of these readings of what Salesforce's pages leave open, with a chance of one in three.
///
/// Under those of `OrgReadings` that are not here, a pair that is in use can be refused though nobody did anything
/// wrong: at once, after each promotion, or when a request acts late (docs/threat-model.md).
enum SoakReadings {
  private static let all = [
    "stageStatus=200", "stageAnswer=object", "emptyStagedList=notFound", "stagedListHidesSecrets=true",
    "expiredSets=listed", "dropsPostWithoutLength=true", "fieldNames=consumerKeyAndSecret", "objectShape=array",
    "objectShape=wrapped", "stagedURL=staged", "stateCase=upper", "stateCase=lower", "dateForm=offset",
    "dateForm=seconds", "idLength=18", "secretAlphabet=reserved", "rotateAnswer=promoted", "rotateAnswer=noContent",
    "replacedID=keepsStagedID", "stagedIDNamesPrimary=true", "tailStart=staging", "consumerIDChanges=true",
    "rotateEndsTokens=consumer", "rotateEndsTokens=caller", "deleteEndsTokens=true", "deleteDelay=0.5",
    "signatureKey=primarySecret", "signatureKey=wrong", "wrongSecretStatus=401", "unknownKeyError=invalidClient",
    "introspectsAllTokens=true", "propagationSeconds=0.5", "propagationGrants=2",
  ]

  static func any(using random: inout SeededGenerator) -> [String] {
    all.filter { _ in Int.random(in: 0..<3, using: &random) == 0 }
  }
}
