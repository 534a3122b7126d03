import Storage

extension StoreContract {
  static let finishing: [StoreContract] = [
    StoreContract("a finishing step is done once, after the body, and is committed with its changes") { store in
      try await store.note(1)
      try demand(await store.notes(), is: [1])
      try await store.write { transaction in
        try transaction.note(2)
        try demand(try transaction.rows(in: .second).count, is: 1)
        try transaction.note(3)
      }
      try demand(await store.notes(), is: [1, 2, 3])
      // Nothing of it is left for the next write.
      try await store.write { try demand($0.finishingStep == nil, is: true) }
      try await store.set([1], for: [1])
      try demand(await store.finishes(), is: [1, 2])
    },
    StoreContract("what a body that throws has left to be finished is not done") { store in
      try await demand(.leaseLost) {
        try await store.write { transaction in
          try transaction.note(1)
          throw StorageError(.leaseLost, "on purpose")
        }
      }
      try await store.note(2)
      try demand(await store.notes(), is: [2])
    },
    StoreContract("a finishing step that throws undoes the write, and its error is what the caller sees") { store in
      try await store.note(1)
      try await demand(.leaseHeld) {
        try await store.write { transaction in
          try transaction.set([1], in: .first, for: [1])
          try transaction.note(Notes.refused)
        }
      }
      try demand(await store.value(of: [1]), is: nil)
      try await store.note(2)
      try demand(await store.notes(), is: [1, 2])
    },
    StoreContract("a body that finishes at once sees what would be committed, and what it leaves then is done too") {
      store in
      try await store.write { transaction in
        try transaction.note(1)
        try transaction.finishNow()
        try demand(transaction.finishingStep == nil, is: true)
        try demand(try transaction.rows(in: .second).map(\.key), is: [UInt64(1).bigEndianBytes])
        try transaction.note(2)
      }
      try demand(await store.notes(), is: [1, 2])
      try await demand(.leaseHeld) {
        try await store.write { transaction in
          try transaction.note(Notes.refused)
          try? transaction.finishNow()
        }
      }
      try demand(await store.notes(), is: [1, 2])
    },
    StoreContract("a body that throws after finishing at once takes nothing of the others with it") { store in
      try await withThrowingTaskGroup { group in
        for number in UInt64(0)..<200 {
          group.addTask {
            try? await store.write { transaction in
              try transaction.note(number)
              guard number % 3 == 0 else { return }
              try transaction.finishNow()
              throw StorageError(.leaseLost, "on purpose")
            }
          }
        }
        try await group.waitForAll()
      }
      try demand(await store.notes(), is: (0..<200).filter { $0 % 3 != 0 })
    },
    StoreContract("among concurrent writes, each is finished once before it returns, unless its body throws") { store in
      try await withThrowingTaskGroup { group in
        for number in UInt64(0)..<300 {
          group.addTask {
            do {
              try await store.write { transaction in
                try transaction.note(number)
                if number % 3 == 0 { throw StorageError(.leaseLost, "on purpose") }
              }
              try demand(await store.value(of: number.bigEndianBytes, in: .second) != nil, is: true)
            } catch let error as StorageError where error.code == .leaseLost {}
          }
        }
        try await group.waitForAll()
      }
      try demand(await store.notes(), is: (0..<300).filter { $0 % 3 != 0 })
      try demand(await store.finishes().reduce(0, +), is: 200)
    },
    StoreContract("among concurrent writes, those that share a finishing step that throws all fail, and no other") {
      store in
      let kept = try await withThrowingTaskGroup { group in
        for number in UInt64(0)..<200 {
          group.addTask { () -> UInt64? in
            do {
              try await store.note(number % 50 == 7 ? Notes.refused : number)
              return number
            } catch let error as StorageError where error.code == .leaseHeld {
              return nil
            }
          }
        }
        var kept: [UInt64] = []
        for try await number in group { if let number { kept.append(number) } }
        return kept
      }
      try demand(kept.contains { $0 % 50 == 7 }, is: false)
      try demand(await store.notes(), is: kept.sorted())
      try await store.note(1_000)
      try demand(await store.notes(), is: kept.sorted() + [1_000])
    },
  ]
}

/// A finishing step that collects numbers from bodies and writes them all when it finishes.
private struct Notes: FinishingStep {
  /// A number that finishing refuses.
  static let refused = UInt64.max

  var numbers: [UInt64] = []

  func finish(in transaction: any WriteTransaction) throws {
    for number in numbers {
      // Written before it throws, so that there is something to undo.
      try transaction.set([], in: .second, for: number.bigEndianBytes)
    }
    if numbers.contains(Self.refused) { throw StorageError(.leaseHeld, "on purpose") }
    let done = try transaction.rows(in: .first, withPrefix: Array("finish".utf8)).count
    try transaction.set(
      UInt64(numbers.count).bigEndianBytes, in: .first, for: Array("finish".utf8) + UInt64(done).bigEndianBytes)
  }
}

extension WriteTransaction {
  fileprivate func note(_ number: UInt64) throws {
    var notes = finishingStep as? Notes ?? Notes()
    notes.numbers.append(number)
    finishingStep = notes
  }
}

extension Store {
  fileprivate func note(_ number: UInt64) async throws { try await write { try $0.note(number) } }

  /// The numbers that were finished, in order.
  fileprivate func notes() async throws -> [UInt64] {
    try await read { try $0.rows(in: .second).compactMap { UInt64(bigEndianBytes: $0.key) } }
  }

  /// How many numbers each finishing step wrote.
  fileprivate func finishes() async throws -> [UInt64] {
    try await read { transaction in
      try transaction.rows(in: .first, withPrefix: Array("finish".utf8)).compactMap { UInt64(bigEndianBytes: $0.value) }
    }
  }
}
