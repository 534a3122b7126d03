import Contracts
import JSON
import Sodium
import Testing

@testable import Audit

/// A log of 10,000 entries in runs of two members, altered in every way at random places and everywhere near its end.
/// Every alteration is found with one remembered checkpoint.
///
/// What comes before the first altered line verifies as before, so a trial begins there.
@Suite struct LongLogTests {
  static let size = 10_000
  static let lines = try? makeLines(by: ["ana", "bo"])
  private static let stride = 50

  /// The lines of such a log. The second owner's key is derived from the first name.
  static func makeLines(by names: [String], size: Int = size) throws -> [[UInt8]] {
    var random = SeededGenerator(seed: 5)
    var frontier = MerkleFrontier()
    var lines: [[UInt8]] = []
    func append(_ entry: LogEntry) {
      lines.append(entry.bytes)
      frontier.append(leafHash: MerkleTree.leafHash(entry.bytes))
    }
    func close(_ name: String) throws {
      let checkpoint = try Checkpoint(origin: Fixture.origin, size: frontier.size, root: frontier.root)
      lines.append(try SignedCheckpoint(checkpoint, key: Fixture.key(of: name)).bytes)
    }
    append(
      try Fixture.entry(
        names[0], "vault.created", at: 0,
        ["vault": .string(Fixture.vault), "owner": Fixture.card(names[0], .owner).json]))
    append(try Fixture.added(names[1], by: names[0], at: 1))
    var (actor, left) = (0, 5)
    while frontier.size < size {
      let index = Int(frontier.size)
      append(
        try Fixture.entry(
          names[actor], "pair.read", at: Int64(index), ["credential": "crm/prod", "number": .integer(index)]))
      left -= 1
      if left == 0, frontier.size < size {
        try close(names[actor])
        actor = 1 - actor
        left = Int.random(in: 1...40, using: &random)
      }
    }
    try close(names[actor])
    return lines
  }

  private struct Trials {
    let lines: [[UInt8]]
    let remembered: Checkpoint
    /// What was verified before every fiftieth line.
    let starts: [LogVerification]

    init() throws {
      lines = try #require(LongLogTests.lines)
      remembered = try SignedCheckpoint(decoding: #require(lines.last)).checkpoint
      var verification = LogVerification(expecting: LogExpectations(remembered: [remembered]))
      var starts: [LogVerification] = []
      for (place, line) in lines.enumerated() {
        if place % LongLogTests.stride == 0 { starts.append(verification) }
        try LongLogTests.add(line, to: &verification)
      }
      #expect(try verification.finish().entries == UInt64(LongLogTests.size))
      self.starts = starts
    }

    /// Whether the log is refused if these lines replace `count` of its own from `place` on.
    func isFound(at place: Int, replacing count: Int, by others: [[UInt8]], isLast: Bool = false) -> Bool {
      var verification = starts[place / LongLogTests.stride]
      do {
        for line in lines[(place / LongLogTests.stride * LongLogTests.stride)..<place] {
          try LongLogTests.add(line, to: &verification)
        }
        for line in others { try LongLogTests.add(line, to: &verification) }
        if !isLast {
          for line in lines[(place + count)...] { try LongLogTests.add(line, to: &verification) }
        }
        _ = try verification.finish()
        return false
      } catch { return true }
    }

    /// For each of the five ways to alter the line at `place`, whether it is found.
    func alterations(at place: Int, using random: inout SeededGenerator) -> [(name: String, isFound: Bool)] {
      let line = lines[place]
      var found = [
        (
          "change",
          isFound(
            at: place, replacing: 1, by: [line.flipping(bit: Int.random(in: 0..<line.count * 8, using: &random))])
        ),
        ("remove", isFound(at: place, replacing: 1, by: [])),
        ("insert", isFound(at: place, replacing: 0, by: [lines[Int.random(in: 0..<lines.count, using: &random)]])),
        ("truncate", isFound(at: place, replacing: 0, by: [], isLast: true)),
      ]
      if place + 1 < lines.count {
        found.append(("swap", isFound(at: place, replacing: 2, by: [lines[place + 1], line])))
      }
      return found
    }
  }

  private static func add(_ line: [UInt8], to verification: inout LogVerification) throws {
    if line.first == UInt8(ascii: "{") {
      try verification.add(entry: line)
    } else {
      try verification.add(checkpoint: line)
    }
  }

  @Test func `a thousand alterations at random places are found`() throws {
    let trials = try Trials()
    var random = SeededGenerator(seed: 7)
    var count = 0
    while count < 1000 {
      for (name, isFound) in trials.alterations(
        at: Int.random(in: 0..<trials.lines.count, using: &random), using: &random)
      {
        #expect(isFound, "\(name)")
        count += 1
      }
    }
    // Entries far apart are swapped.
    for _ in 0..<20 {
      let places = [
        Int.random(in: 2..<5000, using: &random), Int.random(in: 5000..<trials.lines.count, using: &random),
      ]
      let middle = trials.lines[(places[0] + 1)..<places[1]]
      let swapped = [trials.lines[places[1]]] + middle + [trials.lines[places[0]]]
      #expect(trials.isFound(at: places[0], replacing: swapped.count, by: swapped))
    }
  }

  @Test func `cut off after any line, a log is found to be by the newest checkpoint`() throws {
    let lines = try #require(Self.lines)
    let newest = try SignedCheckpoint(decoding: #require(lines.last)).checkpoint
    var verification = LogVerification(expecting: LogExpectations(remembered: [newest]))
    for (count, line) in lines.enumerated() {
      #expect(throws: (any Error).self, "\(count) lines are left") { try verification.finish() }
      try Self.add(line, to: &verification)
    }
    #expect(try verification.finish().entries == UInt64(Self.size))
  }

  /// A tenth of the log comes after that checkpoint: nobody who remembers it has seen what is altered.
  @Test func `every line after a remembered checkpoint is altered in every way, and that is found`() throws {
    let lines = try #require(Self.lines)
    func isCheckpoint(_ line: [UInt8]) -> Bool { line.first != UInt8(ascii: "{") }
    let remembered = try #require(lines.indices.first { $0 >= lines.count * 9 / 10 && isCheckpoint(lines[$0]) })
    var verification = LogVerification(
      expecting: LogExpectations(remembered: [try SignedCheckpoint(decoding: lines[remembered]).checkpoint]))
    for line in lines[...remembered] { try Self.add(line, to: &verification) }
    var random = SeededGenerator(seed: 11)
    for place in lines.indices where place > remembered {
      let line = lines[place]
      func isFound(_ others: [[UInt8]], replacing count: Int) -> Bool {
        var trial = verification
        do {
          for other in others { try Self.add(other, to: &trial) }
          for line in lines[(place + count)...] { try Self.add(line, to: &trial) }
          _ = try trial.finish()
          return false
        } catch { return true }
      }
      let bit = Int.random(in: 0..<line.count * 8, using: &random)
      #expect(isFound([line.flipping(bit: bit)], replacing: 1), "change of line \(place)")
      #expect(isFound([], replacing: 1), "removal of line \(place)")
      let other = lines[Int.random(in: lines.indices, using: &random)]
      #expect(isFound([other], replacing: 0), "insertion before line \(place)")
      if place + 1 < lines.count {
        #expect(isFound([lines[place + 1], line], replacing: 2), "swap of line \(place)")
      }
      // Where a run of entries ends the log is whole again: only remembering a later checkpoint reveals the rest.
      #expect((try? verification.finish()) == nil || isCheckpoint(lines[place - 1]), "cut before line \(place)")
      try Self.add(line, to: &verification)
    }
    _ = try verification.finish()
  }

  @Test func `a log written anew with another key is found by the owner's key and by a remembered checkpoint`() throws {
    let lines = try #require(Self.lines)
    let remembered = try SignedCheckpoint(decoding: #require(lines.last)).checkpoint
    let owner = try NoteKey(name: Fixture.origin, key: Fixture.key(of: "ana").verifyingKey)
    // The same acts, with cy's key instead of ana's.
    let other = try Self.makeLines(by: ["cy", "bo"])
    let file = Array(other.map { $0.first == UInt8(ascii: "{") ? $0 + [0x0A] : $0 }.joined())
    #expect(try LogFile.verify(file).entries == UInt64(Self.size), "nobody who remembers nothing can tell")
    #expect(throws: AuditError(.inconsistent, "")) {
      try LogFile.verify(file, expecting: LogExpectations(owner: owner))
    }
    #expect(throws: AuditError(.inconsistent, "")) {
      try LogFile.verify(file, expecting: LogExpectations(remembered: [remembered]))
    }
  }
}
