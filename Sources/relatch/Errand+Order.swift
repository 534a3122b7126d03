import Providers
import Rotation
import Vault

extension [Errand] {
  /// The errands in waves, each of which begins when the one before has ended. Of those of `names`, administrators come
  /// before what they administer, however long the chain: anyone who has an administrator's pair can read the pairs that
  /// are made while that is accepted. And those with their pairs in one place follow each other: while a leak is ended,
  /// what another run has just made is a stranger's until it is saved. The others wait for nothing.
  func waves(in view: VaultView, ordering names: Set<String>) -> [[Errand]] {
    let (ordered, others) = (filter { names.contains($0.name) }, filter { !names.contains($0.name) })
    let chains = ordered.map { errand in view.administrators(of: errand.name).filter(names.contains) }
    let administering = Set(chains.joined())
    let depths = Dictionary(grouping: zip(ordered, chains), by: \.1.count)
    let waves = depths.sorted { $0.key < $1.key }.flatMap { _, errands in
      let errands = errands.map(\.0)
      return
        (errands.filter { administering.contains($0.name) } + errands.filter { !administering.contains($0.name) })
        .apart(in: view)
    }
    return [(waves.first ?? []) + others] + waves.dropFirst()
  }

  /// The errands in as few waves as have no two credentials in one place. What cannot be read fails in its own run.
  private func apart(in view: VaultView) -> [[Errand]] {
    var waves: [[Errand]] = []
    var count: [CredentialPlace: Int] = [:]
    for errand in self {
      let place = (try? view.credential(errand.name)).flatMap { credential in
        (try? providerKind(credential.provider)).map { credential.place(by: $0.placeSettings) }
      }
      let wave = place.map { count[$0, default: 0] } ?? 0
      if let place { count[place] = wave + 1 }
      if wave == waves.count { waves.append([]) }
      waves[wave].append(errand)
    }
    return waves
  }
}
