import Storage

extension StoreContract {
  static let leases: [StoreContract] = [
    StoreContract("a free lease is taken, and says who holds it until when") { store in
      try demand(await store.read { try $0.leaseHolder(of: "job") }, is: nil)
      let lease = try await store.acquire(by: "a", now: 1_000)
      try demand(lease, is: Lease(name: "job", fencing: 1))
      let expected = LeaseHolder(holder: "a", expires: 1_100, fencing: 1)
      try demand(await store.read { try $0.leaseHolder(of: "job") }, is: expected)
      try await store.read { try $0.require(lease) }
    },
    StoreContract("a held lease is refused to others and to its own holder, and nothing changes") { store in
      let lease = try await store.acquire(by: "a", now: 0)
      try await demand(.leaseHeld) { _ = try await store.acquire(by: "b", now: 99) }
      try await demand(.leaseHeld) { _ = try await store.acquire(by: "a", now: 99) }
      try await store.read { try $0.require(lease) }
    },
    StoreContract("an expired lease is taken over, and its former holder can do nothing with it") { store in
      let old = try await store.acquire(by: "a", now: 0)
      let new = try await store.acquire(by: "b", now: 100)
      try demand(new.fencing, is: old.fencing + 1)
      try await demand(.leaseLost) { try await store.read { try $0.require(old) } }
      try await demand(.leaseLost) { try await store.write { try $0.renew(old, now: 100, milliseconds: 100) } }
      try await demand(.leaseLost) { try await store.write { try $0.release(old) } }
      try await store.read { try $0.require(new) }
    },
    StoreContract(
      "a lease that a clock far ahead has taken is taken over, and its former holder can do nothing with it"
    ) {
      store in
      let hour: Int64 = 3_600_000
      let old = try await store.acquire(by: "a", now: 100 * hour)
      try await demand(.leaseHeld) { _ = try await store.acquire(by: "b", now: 99 * hour + 100) }
      // The holder itself shortens the lease once its clock is right.
      try await store.write { try $0.renew(old, now: hour, milliseconds: 100, unlessItLasts: 50) }
      try demand(await store.read { try $0.leaseHolder(of: "job") }?.expires, is: hour + 100)
      try await store.write { try $0.renew(old, now: 100 * hour, milliseconds: 100) }
      let new = try await store.acquire(by: "b", now: 99 * hour + 99)
      try demand(new.fencing, is: old.fencing + 1)
      try await demand(.leaseLost) { try await store.write { try $0.renew(old, now: 100 * hour, milliseconds: 100) } }
    },
    StoreContract("expiry alone takes no lease away") { store in
      let lease = try await store.acquire(by: "a", now: 0)
      try await store.write { transaction in
        try transaction.require(lease)
        try transaction.renew(lease, now: 5_000, milliseconds: 100)
      }
      try await demand(.leaseHeld) { _ = try await store.acquire(by: "b", now: 5_099) }
    },
    StoreContract("a lease whose holder is gone is taken over before it expires") { store in
      let old = try await store.acquire(by: "dead", now: 0)
      let new = try await store.acquire(by: "b", now: 1) { $0 == "dead" }
      try demand(new.fencing, is: 2)
      try await demand(.leaseLost) { try await store.read { try $0.require(old) } }
    },
    StoreContract("a renewed lease lasts from the renewal, under the same number") { store in
      let lease = try await store.acquire(by: "a", now: 0)
      try await store.write { try $0.renew(lease, now: 90, milliseconds: 100) }
      let expected = LeaseHolder(holder: "a", expires: 190, fencing: 1)
      try demand(await store.read { try $0.leaseHolder(of: "job") }, is: expected)
      try await demand(.leaseHeld) { _ = try await store.acquire(by: "b", now: 189) }
    },
    StoreContract("a lease that lasts long enough is not written, and must be held all the same") { store in
      let lease = try await store.acquire(by: "a", now: 0)
      let renewals: [(now: Int64, enough: Int64, expires: Int64)] = [
        (40, 60, 100), (40, 61, 140), (40, 101, 140), (100, .max, 200), (100, .min, 200),
      ]
      for (now, enough, expires) in renewals {
        try await store.write { try $0.renew(lease, now: now, milliseconds: 100, unlessItLasts: enough) }
        try demand(await store.read { try $0.leaseHolder(of: "job") }?.expires, is: expires)
      }
      _ = try await store.acquire(by: "b", now: 200)
      try await demand(.leaseLost) {
        try await store.write { try $0.renew(lease, now: 200, milliseconds: 100, unlessItLasts: 0) }
      }
    },
    StoreContract("a released lease is nobody's, and its number is never used again") { store in
      for number in UInt64(1)...3 {
        let lease = try await store.acquire(by: "a", now: 0)
        try demand(lease.fencing, is: number)
        try await store.write { try $0.release(lease) }
        try demand(await store.read { try $0.leaseHolder(of: "job") }, is: nil)
        try await demand(.leaseLost) { try await store.read { try $0.require(lease) } }
        try await demand(.leaseLost) { try await store.write { try $0.release(lease) } }
      }
    },
    StoreContract("leases of different names do not meet") { store in
      let one = try await store.acquire("one", by: "a", now: 0)
      let two = try await store.acquire("two", by: "b", now: 0)
      try await store.write { try $0.release(one) }
      try await store.read { try $0.require(two) }
    },
    StoreContract("a write that finds its lease lost leaves nothing behind") { store in
      let old = try await store.acquire(by: "a", now: 0)
      _ = try await store.acquire(by: "b", now: 100)
      try await demand(.leaseLost) {
        try await store.write { transaction in
          try transaction.set([1], in: .first, for: [1])
          try transaction.require(old)
        }
      }
      try demand(await store.value(of: [1]), is: nil)
    },
    StoreContract("of many who ask at once, one gets the lease") { store in
      let winners = try await withThrowingTaskGroup { group in
        for number in 0..<50 {
          group.addTask {
            do {
              _ = try await store.acquire(by: "task \(number)", now: 0)
              return 1
            } catch let error as StorageError where error.code == .leaseHeld {
              return 0
            }
          }
        }
        return try await group.reduce(0, +)
      }
      try demand(winners, is: 1)
    },
    StoreContract("a lease row that no lease could have written is corrupt") { store in
      try await store.set([1, 2, 3], for: Array("job".utf8), in: .leases)
      try await demand(.corrupt) { _ = try await store.read { try $0.leaseHolder(of: "job") } }
      try await demand(.corrupt) { _ = try await store.acquire(by: "a", now: 0) }
      try await store.set(Array(repeating: 0, count: 16) + [0xFF], for: Array("job".utf8), in: .leases)
      try await demand(.corrupt) { _ = try await store.read { try $0.leaseHolder(of: "job") } }
    },
    StoreContract("the last number and the last time are refused, not overflowed") { store in
      let last = UInt64.max.bigEndianBytes + Int64(0).bigEndianBytes + Array("a".utf8)
      try await store.set(last, for: Array("job".utf8), in: .leases)
      try await demand(.corrupt) { _ = try await store.acquire(by: "b", now: 100) }
      let lease = try await store.acquire("other", by: "a", now: Int64.max - 1)
      try demand(await store.read { try $0.leaseHolder(of: "other") }?.expires, is: Int64.max)
      try await store.write { try $0.renew(lease, now: Int64.max, milliseconds: 100) }
    },
  ]
}

extension Store {
  fileprivate func acquire(
    _ name: String = "job", by holder: String, now: Int64, isGone: @Sendable (String) -> Bool = { _ in false }
  ) async throws -> Lease {
    try await write { try $0.acquireLease(name, holder: holder, now: now, milliseconds: 100, isGone: isGone) }
  }
}
