import Audit
import Vault

/// Where a credential's pair is accepted, and which client has it there, as far as the settings say.
///
/// What is replaced under one name ends under another that has the same pair, whatever kind of provider that one has,
/// and whether or not it can be rotated. Settings only narrow down which pairs have to be compared.
package struct PairPlace: Hashable, Sendable {
  /// The servers, in words that are compared; never empty.
  let servers: Set<String>
  /// Kinds with the same word name clients alike.
  let family: String
  /// What names the client, the part that says most first. It ends with the first part that the settings leave open.
  let client: [String]
  /// Whether `client` names one client, and leaves no part open.
  let isWhole: Bool
  /// Whether the credential can be rotated, which ends pairs.
  let isRotated: Bool
  /// Whether it can be rotated where each pair is a client of its own, of which one place may have thousands.
  let isCrowded: Bool

  /// Among the values, what does not change an address makes no difference: capitals, blanks, a slash at the end, the
  /// port of `https`. A credential without a server has its kind's name, `family`, in that place.
  package init(
    servers: some Sequence<String>, family: String, client: [String], isWhole: Bool, isRotated: Bool,
    isCrowded: Bool = false
  ) {
    // A name that ends with a dot is the same name.
    let servers = Set(
      servers.map(CredentialPlace.place).map { $0.hasSuffix(".") ? String($0.dropLast()) : $0 })
    self.servers = servers.isEmpty ? [family] : servers
    self.family = family
    self.client = client.map(CredentialPlace.place)
    self.isWhole = isWhole
    self.isRotated = isRotated
    self.isCrowded = isCrowded
  }

  /// Whether a rotation of one could end the pair of the other.
  func mayShare(with other: PairPlace) -> Bool {
    guard isRotated || other.isRotated, !servers.isDisjoint(with: other.servers) else { return false }
    return family != other.family || client.starts(with: other.client) || other.client.starts(with: client)
  }

  /// The same, as far as it is compared. Of thousands in one place each would open all others: those are not.
  func isCompared(with other: PairPlace) -> Bool { mayShare(with: other) && !(isCrowded && other.isCrowded) }

  /// Whether both name one client, by the same words.
  func isSameClient(as other: PairPlace) -> Bool {
    isWhole && other.isWhole && family == other.family && client == other.client && mayShare(with: other)
  }
}

/// A credential of the vault, as far as it decides whether another can have its pair.
struct Neighbour: Sendable {
  let name: String
  let id: Identifier
  let provider: String
  let created: Timestamp
  /// Those that are not retired.
  let versions: [Version]
  let place: PairPlace
  /// Whether a leak of it is noted.
  let isLeaked: Bool
  /// Whether the member holds a key of it.
  let isOpenable: Bool

  init(_ credential: Credential, in place: PairPlace, isOpenable: Bool) {
    (name, id, provider) = (credential.name, credential.id, credential.provider)
    created = credential.created
    versions = credential.livingVersions
    isLeaked = credential.leak != nil
    self.place = place
    self.isOpenable = isOpenable
  }

  /// Whether one of its versions, or the active one if `isActive`, can have the pair of `version` of `own`. A rotation
  /// makes a new pair: only a first version, which came from elsewhere, can repeat one, and only one that was there.
  func mayRepeat(_ version: Version, of own: Credential, isActive: Bool = false) -> Bool {
    versions.contains { theirs in
      guard !isActive || theirs.stage == .active else { return false }
      return switch (version.number, theirs.number) {
      case (1, 1): true
      case (1, _): theirs.created <= own.created
      case (_, 1): version.created <= created
      default: false
      }
    }
  }
}

/// The credentials of a vault by their places: the few that may share one are found among many thousands.
struct NeighbourDirectory: Sendable {
  private struct Spot: Hashable {
    let server: String
    let family: String
    let client: ArraySlice<String>
  }

  private var all: [Neighbour] = []
  /// Which of them name exactly this client, and which name this or more.
  private var at: [Spot: [Int]] = [:]
  private var under: [Spot: [Int]] = [:]
  private var families: [String: Set<String>] = [:]

  /// Those of `view` that were not handed over. What is damaged is left out.
  init(
    _ view: VaultView, of member: Member, by place: (_ provider: String, _ settings: [String: String]) -> PairPlace?
  ) throws {
    for credential in try view.credentialRecords().credentials where !credential.isTransferred {
      guard let place = place(credential.provider, credential.settings) else { continue }
      add(Neighbour(credential, in: place, isOpenable: try view.canOpen(credential, member)))
    }
  }

  private mutating func add(_ neighbour: Neighbour) {
    let (place, index) = (neighbour.place, all.count)
    all.append(neighbour)
    for server in place.servers {
      families[server, default: []].insert(place.family)
      at[Spot(server: server, family: place.family, client: place.client[...]), default: []].append(index)
      for length in 0...place.client.count {
        let spot = Spot(server: server, family: place.family, client: place.client.prefix(length))
        under[spot, default: []].append(index)
      }
    }
  }

  /// Those that `isMeant` with one of `places`, among those that may share it.
  func beside(_ places: [PairPlace], where isMeant: (Neighbour, PairPlace) -> Bool) -> [Neighbour] {
    var found: Set<Int> = []
    for place in places {
      for server in place.servers {
        for family in families[server] ?? [] {
          let client = family == place.family ? place.client[...] : []
          func add(_ indices: [Int]?) {
            found.formUnion((indices ?? []).filter { all[$0].place.mayShare(with: place) && isMeant(all[$0], place) })
          }
          add(under[Spot(server: server, family: family, client: client)])
          for length in 0..<client.count {
            add(at[Spot(server: server, family: family, client: client.prefix(length))])
          }
        }
      }
    }
    return found.sorted().map { all[$0] }
  }
}
