import Storage

extension StoreContract {
  static let rows: [StoreContract] = [
    StoreContract("a key that was never set has no value") { store in
      try demand(await store.value(of: [1]), is: nil)
    },
    StoreContract("a value that was set is read, and a later one replaces it") { store in
      try await store.set([1, 2], for: [9])
      try demand(await store.value(of: [9]), is: [1, 2])
      try await store.set([3], for: [9])
      try demand(await store.value(of: [9]), is: [3])
    },
    StoreContract("a removed row is gone, and removing it again does nothing") { store in
      try await store.set([1], for: [1])
      for _ in 0..<2 {
        try await store.write { try $0.remove([1], from: .first) }
        try demand(await store.value(of: [1]), is: nil)
      }
    },
    StoreContract("tables do not see each other's rows") { store in
      try await store.set([1], for: [7], in: .first)
      try demand(await store.value(of: [7], in: .second), is: nil)
      try await store.set([2], for: [7], in: .second)
      try await store.write { try $0.remove([7], from: .first) }
      try demand(await store.value(of: [7], in: .second), is: [2])
    },
    StoreContract("a table that the store was not made with is refused") { store in
      try await demand(.corrupt) { _ = try await store.value(of: [1], in: .absent) }
      try await demand(.corrupt) { try await store.set([1], for: [1], in: .absent) }
    },
    StoreContract("an empty key and an empty value are a key and a value") { store in
      try await store.set([], for: [])
      try demand(await store.value(of: []), is: [])
      try demand(await store.read { try $0.rows(in: .first) }, is: [Row(key: [], value: [])])
      try await store.write { try $0.remove([], from: .first) }
      try demand(await store.value(of: []), is: nil)
    },
    StoreContract("rows come in ascending byte order, reversed in descending") { store in
      try await store.fill(awkwardKeys.reversed())
      try demand(await store.keys(from: [], to: nil), is: awkwardKeys)
      try demand(await store.keys(from: [], to: nil, reversed: true), is: awkwardKeys.reversed())
    },
    StoreContract("a scan includes its lower bound and excludes its upper bound, both ways") { store in
      try await store.fill(awkwardKeys)
      for lower in awkwardKeys + [[0x62]] {
        for upper in awkwardKeys + [[0x62]] {
          let notTooLow = awkwardKeys.filter { !$0.lexicographicallyPrecedes(lower) }
          let expected = notTooLow.filter { $0.lexicographicallyPrecedes(upper) }
          try demand(await store.keys(from: lower, to: upper), is: expected)
          try demand(await store.keys(from: lower, to: upper, reversed: true), is: expected.reversed())
        }
      }
    },
    StoreContract("a scan stops when its visitor says so, and when it throws") { store in
      try await store.fill(awkwardKeys)
      let visited = try await store.read { transaction in
        var keys: [[UInt8]] = []
        try transaction.scan(.first, from: [], to: nil, reversed: false) { key, _ in
          keys.append(key)
          return keys.count < 3
        }
        return keys
      }
      try demand(visited, is: Array(awkwardKeys[..<3]))
      try await demand(.busy) {
        try await store.read { transaction in
          try transaction.scan(.first, from: [], to: nil, reversed: true) { _, _ in throw StorageError(.busy, "stop") }
        }
      }
    },
    StoreContract("a scan in place visits the same rows, and a visitor of it may scan the table") { store in
      try await store.fill(awkwardKeys)
      try await store.set([], for: [0x62])
      for lower in awkwardKeys {
        let (copied, inPlace) = try await store.read { transaction in
          var (copied, inPlace): ([Row], [Row]) = ([], [])
          try transaction.scan(.first, from: lower, to: nil, reversed: false) { key, value in
            copied.append(Row(key: key, value: value))
            return true
          }
          try transaction.scan(.first, from: lower) { key, value in
            _ = try transaction.rows(in: .first)
            inPlace.append(Row(key: key.indices.map { key[$0] }, value: value.indices.map { value[$0] }))
            return true
          }
          return (copied, inPlace)
        }
        try demand(inPlace, is: copied)
        let visits = try await store.read { transaction in
          var visits = 0
          try transaction.scan(.first, from: lower) { _, _ in
            visits += 1
            return visits < 2
          }
          return visits
        }
        try demand(visits, is: min(2, copied.count))
      }
      try await demand(.busy) {
        try await store.read { transaction in
          try transaction.scan(.first, from: []) { _, _ in throw StorageError(.busy, "stop") }
        }
      }
    },
    StoreContract("a visitor may read and scan the table it visits") { store in
      try await store.fill([[1], [2], [3]])
      let pairs = try await store.read { transaction in
        var pairs: [[UInt8]] = []
        for outer in try transaction.rows(in: .first) {
          try transaction.scan(.first, from: [], to: nil, reversed: false) { middle, value in
            try demand(try transaction.value(in: .first, for: middle), is: value)
            try transaction.scan(.first, from: middle, to: nil, reversed: false) { inner, _ in
              pairs.append(outer.key + middle + inner)
              return true
            }
            return true
          }
        }
        return pairs
      }
      try demand(pairs.count, is: 18)
    },
    StoreContract("a prefix finds its own rows only, up to the last byte value") { store in
      try await store.fill(awkwardKeys)
      for prefix: [UInt8] in [[], [0], [0x61], [0x61, 0xFF], [0xFF], [0xFF, 0xFF], [0x62]] {
        let expected = awkwardKeys.filter { $0.starts(with: prefix) }
        try demand(await store.read { try $0.rows(in: .first, withPrefix: prefix).map(\.key) }, is: expected)
        try demand(await store.read { try $0.lastRow(in: .first, withPrefix: prefix)?.key }, is: expected.last)
      }
    },
    StoreContract("a value of 1 MiB comes back whole, and can be replaced by a short one") { store in
      let value = (0..<1_048_576).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
      try await store.set(value, for: [1])
      try demand(await store.value(of: [1]) == value, is: true)
      try await store.set([1], for: [1])
      try demand(await store.value(of: [1]), is: [1])
    },
    StoreContract("ten thousand rows set in any order are found, counted and in order") { store in
      // 7,919 and 10,000 are coprime, so this visits each number once.
      try await store.write { transaction in
        for index in 0..<10_000 {
          let number = UInt64(index * 7_919 % 10_000)
          try transaction.set(number.bigEndianBytes, in: .first, for: number.bigEndianBytes)
        }
      }
      let numbers = try await store.read { transaction in
        try transaction.rows(in: .first).compactMap { UInt64(bigEndianBytes: $0.value) }
      }
      try demand(numbers == Array(0..<10_000), is: true)
      try demand(await store.value(of: UInt64(4_321).bigEndianBytes), is: UInt64(4_321).bigEndianBytes)
    },
  ]

  /// In ascending order: an empty key, keys that are prefixes of each other, the least and the greatest byte.
  private static let awkwardKeys: [[UInt8]] = [
    [], [0], [0, 0], [0, 0xFF], [1], [0x61], [0x61, 0], [0x61, 0x62], [0x61, 0xFF], [0x61, 0xFF, 0],
    [0x61, 0xFF, 0xFF], [0x63], [0xFE, 0xFF], [0xFF], [0xFF, 0], [0xFF, 0xFF], [0xFF, 0xFF, 0xFF],
  ]
}

extension Store {
  fileprivate func fill(_ keys: [[UInt8]]) async throws {
    try await write { transaction in
      for key in keys { try transaction.set([1] + key, in: .first, for: key) }
    }
  }

  fileprivate func keys(from lower: [UInt8], to upper: [UInt8]?, reversed: Bool = false) async throws -> [[UInt8]] {
    try await read { transaction in
      var keys: [[UInt8]] = []
      try transaction.scan(.first, from: lower, to: upper, reversed: reversed) { key, value in
        try demand(value, is: [1] + key)
        keys.append(key)
        return true
      }
      return keys
    }
  }
}
