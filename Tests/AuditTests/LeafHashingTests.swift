import Contracts
import Sodium
import Testing

@testable import Audit

/// Hashing on another thread must give the same as hashing in order, whenever the result is read.
@Suite struct LeafHashingTests {
  @Test(arguments: [0, 1, 3, 200, 3_000])
  func theFrontierIsThatOfTheEntries(_ stride: Int) {
    var random = SeededGenerator(seed: 11)
    var expected = HashedTree()
    expected.nodes = TreeSum()
    // Some leaves come first.
    for _ in 0..<5 { expected.append(leafHash: MerkleTree.leafHash([1])) }
    var hashing = LeafHashing(after: expected)
    for index in 0..<3_000 {
      // Some entries fill a batch of their own.
      let size = index % 500 == 7 ? 200_000 : Int.random(in: 0..<600, using: &random)
      let entry = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* (index + 1)) }
      hashing.append(entry.span)
      expected.append(leafHash: MerkleTree.leafHash(entry))
      guard stride > 0, index % stride == 0 else { continue }
      let found = hashing.finish()
      #expect(found.frontier.size == expected.frontier.size && found.frontier.root == expected.frontier.root)
      #expect(found.nodes == expected.nodes)
    }
    for _ in 1...2 {
      let found = hashing.finish()
      #expect(found.frontier.size == expected.frontier.size && found.frontier.root == expected.frontier.root)
      #expect(found.nodes == expected.nodes)
    }
  }
}
