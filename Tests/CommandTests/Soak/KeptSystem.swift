import Foundation
import Testing

/// A system that accepts old and new pairs alike, kept in a file by a program that speaks the contract of `command`.
/// Programs that run at once take turns, because one whose run was killed goes on.
struct KeptSystem {
  private struct Kept: Decodable {
    struct Key: Decodable {
      let secret: String
      let label: String
    }
    let keys: [Key]
    let issued: [String]
    let granted: [String]
  }

  let program: String
  private let file: URL

  /// Makes the system with `count` pairs, each for one credential.
  init(_ name: String, pairs count: Int, in folder: URL) throws {
    program = folder.appending(path: "kept-system").path
    file = folder.appending(path: "system-\(name).json")
    try Data(Self.text.utf8).write(to: URL(filePath: program))
    try #require(chmod(program, 0o755) == 0)
    let secrets = (0..<count).map { _ in "kept-\(UUID().uuidString)" }
    let keys = secrets.enumerated().map { ["id": "\($0)", "secret": $1, "label": ""] }
    let kept: [String: Any] = ["next": count, "keys": keys, "issued": secrets, "granted": secrets]
    try JSONSerialization.data(withJSONObject: kept).write(to: file)
  }

  private func kept() throws -> Kept { try JSONDecoder().decode(Kept.self, from: Data(contentsOf: file)) }

  /// The secrets that are accepted now.
  func secrets() throws -> [String] { try kept().keys.map(\.secret) }

  /// The marks of what is accepted now; empty for a pair that the system began with.
  func marks() throws -> [String] { try kept().keys.map(\.label) }

  /// Every secret there ever was.
  func issued() throws -> [String] { try kept().issued }

  /// Whether that secret was ever granted a token. Those that the system began with count as proved.
  func hasGranted(_ secret: String) throws -> Bool { try kept().granted.contains(secret) }

  /// Lets the next operation fail: with 69 and nothing done, or done and with no answer.
  func failNext(acts: Bool) throws {
    try Data((acts ? "1" : "69").utf8).write(to: file.appendingPathExtension("fault"))
  }

  func forgetFaults() { try? FileManager.default.removeItem(at: file.appendingPathExtension("fault")) }

  /// The arguments that add the credential that has the pair of that number, and the pair.
  func addition(_ name: String, pair: Int) throws -> (arguments: [String], stdin: String) {
    let settings = ["program=\(program)", "arguments=[\"\(file.path)\"]", "replacement=overlap"]
    return (
      ["add", name, "--provider", "command", "--policy", "grace=0s", "--policy", "propagation=10s"]
        + settings.flatMap { ["--set", $0] },
      #"{"client_id":"\#(file.lastPathComponent)","client_secret":"\#(try secrets()[pair])"}"#
    )
  }

  private static let text = #"""
    #!/usr/bin/python3 -I
    import fcntl, json, os, sys
    path = sys.argv[1]
    request = json.load(sys.stdin)
    operation = request["operation"]
    client = os.path.basename(path)
    lock = open(path + ".lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    fault = 0
    try:
        with open(path + ".fault") as file:
            fault = int(file.read() or 0)
        os.unlink(path + ".fault")
    except FileNotFoundError:
        pass
    if fault == 69:
        sys.exit(69)
    with open(path) as file:
        kept = json.load(file)
    answer = {}
    if operation == "observe":
        known = [pair["client_secret"] for pair in request["known"]]
        answer = {"replacement": "overlap", "pairs": []}
        for key in kept["keys"]:
            pair = {"client_id": client, "handle": key["id"], "key": key["label"]}
            if key["secret"] in known:
                pair["known"] = known.index(key["secret"])
            answer["pairs"].append(pair)
    elif operation == "stage":
        made = [key for key in kept["keys"] if key["label"] == request["key"]]
        if not made:
            made = [{"id": str(kept["next"]), "secret": "kept-" + os.urandom(16).hex(), "label": request["key"]}]
            kept["next"] += 1
            kept["keys"] += made
            kept["issued"].append(made[0]["secret"])
        answer = {"pair": {"client_id": client, "client_secret": made[0]["secret"], "handle": made[0]["id"]}}
    elif operation == "delete":
        kept["keys"] = [key for key in kept["keys"] if key["id"] != request["pair"]["handle"]]
    elif operation == "grant":
        secret = request["pair"]["client_secret"]
        if secret in [key["secret"] for key in kept["keys"]]:
            kept["granted"].append(secret)
            answer = {"status": 200}
        else:
            answer = {"error": "refused"}
    with open(path + ".new", "w") as file:
        json.dump(kept, file)
    os.rename(path + ".new", path)
    if fault:
        sys.exit(fault)
    json.dump(answer, sys.stdout)

    """#
}
