import Contracts
import Sodium
import Storage
import Testing

@testable import Audit

@Suite struct MerkleTreeTests {
  /// A tree that keeps every node, as the table `tree` does.
  struct Grown {
    var frontier = MerkleFrontier()
    var nodes: [MerkleTree.Node: SHA256Digest] = [:]
    var roots = [MerkleTree.emptyRoot]
    var leaves: [SHA256Digest] = []

    init(_ entries: [[UInt8]]) {
      for entry in entries {
        let leaf = MerkleTree.leafHash(entry)
        var completed: [MerkleTree.Node: SHA256Digest] = [:]
        frontier.append(leafHash: leaf) { completed[$0] = $1 }
        nodes.merge(completed) { _, new in new }
        leaves.append(leaf)
        roots.append(frontier.root)
      }
    }

    func node(_ node: MerkleTree.Node) throws -> SHA256Digest { try #require(nodes[node]) }
  }

  static let hundred = Grown((0..<100).map { [UInt8($0)] })

  /// The vectors of the certificate-transparency project's reference implementation.
  @Test func theReferenceTreeOfEightLeavesHasTheKnownRoots() throws {
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    let tree = Grown(leaves.map { [UInt8](hex: $0) })
    #expect(tree.roots[0].bytes.hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(tree.roots[1].bytes.hex == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")
    #expect(tree.roots[8].bytes.hex == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")
  }

  @Test func fiveLeavesByHand() throws {
    let leaves = (0..<5).map { MerkleTree.leafHash([UInt8($0)]) }
    let (a, b) = (MerkleTree.nodeHash(leaves[0], leaves[1]), MerkleTree.nodeHash(leaves[2], leaves[3]))
    let c = MerkleTree.nodeHash(a, b)
    let tree = Self.hundred
    #expect(tree.roots[3] == MerkleTree.nodeHash(a, leaves[2]))
    #expect(tree.roots[4] == c)
    #expect(tree.roots[5] == MerkleTree.nodeHash(c, leaves[4]))
    #expect(try InclusionProof(of: 2, size: 5, tree.node).path == [leaves[3], a, leaves[4]])
    #expect(try InclusionProof(of: 4, size: 5, tree.node).path == [c])
    #expect(try ConsistencyProof(from: 3, to: 5, tree.node).path == [leaves[2], leaves[3], a, leaves[4]])
    #expect(try ConsistencyProof(from: 4, to: 5, tree.node).path == [leaves[4]])
    #expect(try ConsistencyProof(from: 5, to: 5, tree.node).path == [])
  }

  @Test func aFrontierReadFromNodesIsTheOneThatGrew() throws {
    for size in 0...100 {
      let frontier = try MerkleFrontier(size: UInt64(size), Self.hundred.node)
      #expect(frontier.root == Self.hundred.roots[size])
      #expect(try MerkleTree.root(of: 0..<UInt64(size), Self.hundred.node) == Self.hundred.roots[size])
    }
  }

  @Test func everyInclusionProofVerifiesAndWithOneBitFlippedDoesNot() throws {
    var random = SeededGenerator(seed: 1)
    let tree = Self.hundred
    for size in 1...100 {
      for index in 0..<size {
        let proof = try InclusionProof(of: UInt64(index), size: UInt64(size), tree.node)
        let (leaf, root) = (tree.leaves[index], tree.roots[size])
        try proof.verify(leafHash: leaf, root: root)
        let altered = try flipOneBit([leaf, root] + proof.path, using: &random)
        let forged = InclusionProof(index: proof.index, size: proof.size, path: Array(altered[2...]))
        expectBadProof { try forged.verify(leafHash: altered[0], root: altered[1]) }
        let long = InclusionProof(index: proof.index, size: proof.size, path: proof.path + [root])
        expectBadProof { try long.verify(leafHash: leaf, root: root) }
        let short = InclusionProof(index: proof.index, size: proof.size, path: proof.path.dropLast())
        if size > 1 { expectBadProof { try short.verify(leafHash: leaf, root: root) } }
        let elsewhere = InclusionProof(index: UInt64((index + 1) % size), size: UInt64(size), path: proof.path)
        if size > 1 { expectBadProof { try elsewhere.verify(leafHash: leaf, root: root) } }
      }
    }
  }

  @Test func everyConsistencyProofVerifiesAndWithOneBitFlippedDoesNot() throws {
    var random = SeededGenerator(seed: 2)
    let tree = Self.hundred
    for second in 0...100 {
      for first in 0...second {
        let proof = try ConsistencyProof(from: UInt64(first), to: UInt64(second), tree.node)
        try proof.verify(firstRoot: tree.roots[first], secondRoot: tree.roots[second])
        let altered = try flipOneBit([tree.roots[first]] + proof.path, using: &random)
        let forged = ConsistencyProof(first: proof.first, second: proof.second, path: Array(altered[1...]))
        expectBadProof { try forged.verify(firstRoot: altered[0], secondRoot: tree.roots[second]) }
        let long = ConsistencyProof(first: proof.first, second: proof.second, path: proof.path + [tree.roots[first]])
        expectBadProof { try long.verify(firstRoot: tree.roots[first], secondRoot: tree.roots[second]) }
        if first > 0, first < second {
          let other = try flipOneBit([tree.roots[second]], using: &random)[0]
          expectBadProof { try proof.verify(firstRoot: tree.roots[first], secondRoot: other) }
          let short = ConsistencyProof(first: proof.first, second: proof.second, path: proof.path.dropLast())
          expectBadProof { try short.verify(firstRoot: tree.roots[first], secondRoot: tree.roots[second]) }
        }
      }
    }
  }

  @Test func absurdSizesAreRefusedWithoutTrapping() throws {
    let root = MerkleTree.emptyRoot
    for (index, size) in [(0, 0), (5, 5), (UInt64.max, UInt64.max), (0, UInt64.max), (UInt64.max - 1, UInt64.max)] {
      for count in [0, 1, 63, 64, 65] {
        let proof = InclusionProof(index: index, size: size, path: Array(repeating: root, count: count))
        expectBadProof { try proof.verify(leafHash: root, root: root) }
        guard index != size else { continue }
        let consistency = ConsistencyProof(first: size, second: index, path: proof.path)
        expectBadProof { try consistency.verify(firstRoot: root, secondRoot: root) }
        let forward = ConsistencyProof(first: index, second: size, path: proof.path + [MerkleTree.leafHash([])])
        expectBadProof { try forward.verify(firstRoot: root, secondRoot: MerkleTree.leafHash([1])) }
      }
    }
    // Of no leaves, there is one root.
    let other = MerkleTree.leafHash([])
    expectBadProof { try ConsistencyProof(first: 0, second: 0, path: []).verify(firstRoot: other, secondRoot: other) }
    // The right hashes of two leaves do not make a tree of more.
    let (leaves, roots) = (Self.hundred.leaves, Self.hundred.roots)
    for size in [3, 4, 100, UInt64.max] {
      let inclusion = InclusionProof(index: 0, size: size, path: [leaves[1]])
      expectBadProof { try inclusion.verify(leafHash: leaves[0], root: roots[2]) }
      let consistency = ConsistencyProof(first: 1, second: size, path: [leaves[1]])
      expectBadProof { try consistency.verify(firstRoot: roots[1], secondRoot: roots[2]) }
    }
    #expect(throws: AuditError(.notFound, "")) { try InclusionProof(of: 5, size: 5, Self.hundred.node) }
    #expect(throws: AuditError(.notFound, "")) { try ConsistencyProof(from: 6, to: 5, Self.hundred.node) }
  }

  /// The digests with one random bit, from a seed, changed in one of them.
  func flipOneBit(_ digests: [SHA256Digest], using random: inout SeededGenerator) throws -> [SHA256Digest] {
    let bytes = digests.flatMap(\.bytes).flipping(bit: Int.random(in: 0..<digests.count * 256, using: &random))
    return try (0..<digests.count).map { try SHA256Digest(Array(bytes[$0 * 32..<$0 * 32 + 32])) }
  }

  func expectBadProof(_ verify: () throws -> Void, _ location: SourceLocation = #_sourceLocation) {
    #expect(throws: AuditError(.badProof, ""), sourceLocation: location) { try verify() }
  }
}
